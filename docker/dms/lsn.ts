/** Positions in PostgreSQL's log: `XXXXXXXX/XXXXXXXX` in hexadecimal, 64 bits. */

export function parseLsn(text: string): bigint {
  const [high, low] = text.split('/') as [string, string]
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

export const formatLsn = (lsn: bigint): string => {
  const half = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0')
  return `${half(lsn >> 32n)}/${half(lsn & 0xffffffffn)}`
}
