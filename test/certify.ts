/** Certificates made here by `openssl`, by authorities no system knows. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Certified = { certificate: string; key: string }

/** Goes into a certificate for a server on this machine. */
export const FOR_THIS_MACHINE = [
  '-addext',
  'subjectAltName=IP:127.0.0.1',
  '-addext',
  'basicConstraints=critical,CA:FALSE',
]

/** Writes `name.pem` and `name.key` into the folder, signed by `signer`, or by itself. @returns both, as PEM */
export async function certify(
  directory: string,
  name: string,
  signer: string | undefined,
  ...extra: string[]
): Promise<Certified> {
  const by = signer ? ['-CA', `${signer}.pem`, '-CAkey', `${signer}.key`] : []
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc']
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
  await run('openssl', ['req', '-x509', '-subj', `/CN=${name}`, ...curve, ...files, ...by, ...extra], {
    cwd: directory,
  })
  const [certificate, key] = await Promise.all(
    ['pem', 'key'].map(ending => readFile(join(directory, `${name}.${ending}`), 'utf8')),
  )
  return { certificate: certificate!, key: key! }
}
