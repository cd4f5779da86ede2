/** Certificate authorities named by a setting -> their PEM, proven to be certificates. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

const BEGINNING = '-----BEGIN CERTIFICATE-----'
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** @param faults takes what is wrong with the file @returns undefined for an empty setting, and after a fault */
export function authoritiesInFile(setting: string, file: string, faults: string[]): string | undefined {
  if (file === '') return undefined
  try {
    const pem = readFileSync(file, 'utf8')
    if (countOf(pem) > 0) return pem
    faults.push(`${setting} is ${file}, which holds no certificate: expected PEM (${BEGINNING})`)
  } catch (cause) {
    faults.push(`${setting} is ${file}, which cannot be read as certificates: ${(cause as Error).message}`)
  }
  return undefined
}

/** The same of a setting that may also hold the PEM itself: a container has no file its image does not have. */
export function authoritiesGiven(setting: string, given: string, faults: string[]): string | undefined {
  if (!given.includes(BEGINNING)) return authoritiesInFile(setting, given, faults)
  try {
    if (countOf(given) > 0) return given
    faults.push(`${setting} holds a certificate without its end: expected PEM, whole`)
  } catch (cause) {
    faults.push(`${setting} holds what cannot be read as certificates: ${(cause as Error).message}`)
  }
  return undefined
}

/** @throws for one that is none */
function countOf(pem: string): number {
  return (pem.match(PEM_CERTIFICATE) ?? []).map(text => new X509Certificate(text)).length
}
