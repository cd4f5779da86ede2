/** A password -> what PostgreSQL keeps of it (SCRAM-SHA-256, RFC 5803), so that the password itself is in no statement and no log. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

/** PostgreSQL's own number. */
const ITERATIONS = 4096
const KEY_BYTES = 32

/** @param password printable ASCII, which needs no preparation @param salt 16 random bytes */
export function scramVerifier(password: string, salt: Buffer): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, KEY_BYTES, 'sha256')
  const keyFor = (who: string) => createHmac('sha256', salted).update(who).digest()
  const stored = createHash('sha256').update(keyFor('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${keyFor('Server Key').toString('base64')}`
}
