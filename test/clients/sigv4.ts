/**
 * The server's half of Signature Version 4, written from AWS's description ("Create a signed AWS API request") and
 * nothing else: what OpenSearch Service does with the bytes it receives.
 */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** As it came over the wire: `target` raw, `body` not decompressed. */
export type Received = { method: string; target: string; headers: IncomingHttpHeaders; body: Buffer }

export type Account = {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  service: string
  region: string
}

const SKEW_MS = 5 * 60_000

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data, 'utf8').digest()

/** UriEncode of the description: every byte except A-Z a-z 0-9 - . _ ~ */
function uriEncode(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map(byte => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9\-._~]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

/** @param nowMs of the server's clock @returns what is wrong, as AWS would refuse it; undefined when the request is good */
export function signatureFault(received: Received, account: Account, nowMs: number): string | undefined {
  const { headers, body } = received
  const [, keyId, date, region, service, signedHeaders, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? []
  if (!keyId || !date || !signedHeaders) return 'no authorization header of the form'
  if (keyId !== account.accessKeyId) return `unknown access key ${keyId}`
  if (region !== account.region || service !== account.service) return `scope ${region}/${service}`
  const amzDate = String(headers['x-amz-date'])
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(amzDate) ?? []
  const signedAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (!amzDate.startsWith(date) || !(Math.abs(nowMs - signedAtMs) <= SKEW_MS))
    return `signature expired: ${amzDate}`
  if (headers['x-amz-security-token'] !== account.sessionToken) return 'security token'
  // Serverless collections refuse a request without it; everybody refuses a wrong one.
  if (headers['x-amz-content-sha256'] !== sha256(body)) return 'x-amz-content-sha256 is not that of the body'

  const names = signedHeaders.split(';')
  if (names.join() !== [...names].sort().join()) return 'signed headers are not in order'
  const mustBeSigned = ['host', ...Object.keys(headers).filter(name => name.startsWith('x-amz-'))]
  if (account.service === 'aoss' && names.includes('content-length')) return 'content-length is signed'
  for (const name of mustBeSigned) if (!names.includes(name)) return `${name} is not signed`

  const expected = signatureOf(received, { date, region, service, names }, account.secretAccessKey)
  return signature === expected ? undefined : 'signature does not match'
}

/** @param names of the signed headers, in order; `X-Amz-Date` among the headers */
export function signatureOf(
  { method, target, headers, body }: Received,
  { date, region, service, names }: { date: string; region: string; service: string; names: string[] },
  secret: string,
): string {
  const [path = '', query = ''] = target.split('?')
  const canonicalQuery = query
    .split('&')
    .filter(part => part !== '')
    .map(part => part.split('=').map(half => uriEncode(decodeURIComponent(half))))
    .map(([name, value = '']) => `${name}=${value}`)
    .sort()
    .join('&')
  const canonical = [
    method,
    // Every service but S3: each segment of the path as sent is encoded once more.
    path.split('/').map(uriEncode).join('/'),
    canonicalQuery,
    ...names.map(name => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n')
  const scope = `${date}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n')
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request')
  return hmac(key, toSign).toString('hex')
}
