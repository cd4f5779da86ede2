/** Values as Grafana would write them, for the units the dashboards use. */

const K = 1000
const KI = 1024

export function shown(value: number, unit: string): string {
  if (Number.isNaN(value)) return 'no data'
  switch (unit) {
    case 's':
      return shownSeconds(value)
    case 'percentunit':
      return `${rounded(value * 100)} %`
    case 'bytes':
      return scaled(value, KI, ['B', 'KiB', 'MiB', 'GiB'])
    case 'Bps':
      return scaled(value, K, ['B/s', 'kB/s', 'MB/s'])
    case 'cps':
      return `${rounded(value)}/s`
    case 'reqps':
      return `${rounded(value)} req/s`
    default:
      return scaled(value, K, ['', 'k', 'M', 'G'])
  }
}

function shownSeconds(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0 s'
  if (size < 1) return `${rounded(value * K)} ms`
  return size < 120 ? `${rounded(value)} s` : `${rounded(value / 60)} min`
}

function scaled(value: number, base: number, names: string[]): string {
  let rest = value
  let at = 0
  while (Math.abs(rest) >= base && at < names.length - 1) {
    rest /= base
    at++
  }
  return `${rounded(rest)} ${names[at]}`.trim()
}

function rounded(value: number): string {
  const size = Math.abs(value)
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)))
}
