/** What OpenSSL and Node say of a certificate that is not to be trusted. */

/** Nobody we trust has signed it. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])
/** It is another host's, or of another time. */
const UNFIT = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** @param code of the error of a connection @returns undefined when its certificate is not to blame */
export function certificateFault(code: string): 'untrusted' | 'unfit' | undefined {
  if (UNTRUSTED.has(code)) return 'untrusted'
  return UNFIT.has(code) ? 'unfit' : undefined
}
