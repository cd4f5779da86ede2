/** The table file and the settings -> all a decision needs. For `run`, and for `transform`, which needs nothing else. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Config } from '../config.ts'
import type { DecideContext } from '../core/document.ts'
import { ConfigError } from '../errors.ts'
import { noTableFile, parseTableFile, type TableFile } from '../table-file.ts'
import { decideContext } from '../tables.ts'

type Named = Pick<
  Config,
  'TABLE_FILE' | 'INDEX_PATTERNS' | 'ON_UNKNOWN_TABLE' | 'BEFORE_IMAGE' | 'BEFORE_IMAGE_PREFIX'
>

/** @throws ConfigError when the table file cannot be read or has mistakes */
export function contextOf(config: Named): Omit<DecideContext, 'range'> {
  return decideContext({
    file: tableFileOf(config),
    indexPatterns: config.INDEX_PATTERNS,
    onUnknownTable: config.ON_UNKNOWN_TABLE,
    beforeImage: config.BEFORE_IMAGE,
    beforeImagePrefix: config.BEFORE_IMAGE_PREFIX,
  })
}

/** @throws ConfigError when the table file cannot be read or has mistakes */
export function tableFileOf({ TABLE_FILE: given }: Pick<Config, 'TABLE_FILE'>): TableFile {
  if (given === '') return noTableFile
  return given.startsWith(INLINE)
    ? parseTableFile(unzipped(given.slice(INLINE.length)), 'TABLE_FILE')
    : parseTableFile(read(given), given)
}

/** Before the file itself in place of its path: a container has no file that its image does not have. */
const INLINE = 'data:application/gzip;base64,'

function unzipped(base64: string): string {
  try {
    return gunzipSync(Buffer.from(base64, 'base64')).toString('utf8')
  } catch (cause) {
    const message = `TABLE_FILE begins with ${INLINE}, and what follows is not gzip in base64: ${(cause as Error).message}`
    throw new ConfigError(message, { cause })
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const message = `TABLE_FILE is ${path}, which cannot be read: ${(cause as Error).message}`
    throw new ConfigError(message, { cause })
  }
}
