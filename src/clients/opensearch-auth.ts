/**
 * Who we are to OpenSearch: nobody, a user with a password, or an AWS role by Signature Version 4.
 *
 * The signature is made by the package with which the AWS clients sign, over the bytes that leave: the body as it is
 * after gzip, the path and the query as they stand in the request line. Secrets are in the headers and nowhere else.
 */
import { createHash } from 'node:crypto'
import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { SignatureV4 } from '@smithy/signature-v4'
import { Sha256 } from './sha256.ts'

export type Credentials = {
  accessKeyId: string
  secretAccessKey: string
  /** Of temporary credentials, such as a task role's. */
  sessionToken?: string
  expiration?: Date
}

/** Kept by the source until shortly before they expire; `forceRefresh` asks for new ones now. */
export type CredentialSource = (options?: { forceRefresh?: boolean }) => Promise<Credentials>

export type Authentication =
  | { kind: 'none' }
  | { kind: 'basic'; username: string; password: string }
  | {
      kind: 'sigv4'
      /** `es`: a managed domain; `aoss`: a serverless collection. */
      service: 'es' | 'aoss'
      region: string
      /** Without it the AWS SDK's default chain: environment, profile, web identity, task or instance role. */
      credentials?: CredentialSource
    }

/** What is signed. `path` and `query` unescaped only in the values of `query`; `body` the bytes that are sent. */
export type SignedPart = {
  method: string
  /** As in Host: with the port unless it is the scheme's own. */
  host: string
  /** As in the request line: escaped. */
  path: string
  query: Readonly<Record<string, string>>
  contentType: string | undefined
  body: Buffer
}

export type Authenticator = {
  /** The headers to add. Rejects with what the source of the credentials said; trying again is safe. */
  headers(part: SignedPart): Promise<Record<string, string>>
  /**
   * To be told of every answer. One that refuses us (401, 403) makes the next request fetch credentials anew, in case
   * they were rotated or revoked, and sets our clock by the answer's `Date` where it is off by more than AWS accepts.
   */
  answered(status: number, date: string | undefined): void
}

/** AWS refuses a signature more than 5 minutes off; what comes near is set right too. */
const SKEW_MS = 240_000

/** @param now wall clock in milliseconds */
export function authenticator(authentication: Authentication, now: () => number = Date.now): Authenticator {
  if (authentication.kind === 'none') return { headers: async () => ({}), answered: () => {} }
  if (authentication.kind === 'basic') {
    const { username, password } = authentication
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    return { headers: async () => ({ authorization }), answered: () => {} }
  }

  const { service, region } = authentication
  const source: CredentialSource = authentication.credentials ?? defaultProvider()
  let isRefused = false
  let skewMs = 0

  async function credentials(): Promise<Credentials> {
    const forceRefresh = isRefused
    // Taken at once, so that of several requests only the first asks for new ones; given back if that fails.
    isRefused = false
    try {
      return await source({ forceRefresh })
    } catch (error) {
      isRefused ||= forceRefresh
      throw error
    }
  }

  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 })

  async function headers(part: SignedPart): Promise<Record<string, string>> {
    const { headers: signed } = await signer.sign(
      {
        method: part.method,
        protocol: 'https:',
        hostname: part.host,
        path: part.path,
        query: { ...part.query },
        // Only what no proxy on the way may change. Content-Length is left out: serverless collections refuse it.
        headers: {
          host: part.host,
          ...(part.contentType ? { 'content-type': part.contentType } : {}),
          'x-amz-content-sha256': createHash('sha256').update(part.body).digest('hex'),
        },
      },
      { signingDate: new Date(now() + skewMs) },
    )
    return signed
  }

  function answered(status: number, date: string | undefined): void {
    if (status !== 401 && status !== 403) return
    isRefused = true
    const theirsMs = Date.parse(date ?? '')
    if (Math.abs(theirsMs - now() - skewMs) > SKEW_MS) skewMs = theirsMs - now()
  }

  return { headers, answered }
}
