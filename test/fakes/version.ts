/** Versions as text, as OpenSearch has them. */
import { versionText } from '../../src/core/version.ts'

export const versionsOf = (fence: number) => (ordinal: number) => versionText({ fence, ordinal })
