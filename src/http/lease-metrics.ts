/** The metrics of the leases: how many are held, read by nobody or damaged, what happens to them, and by which clock. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export function leaseMetrics(registers: Registry[]) {
  const leasesHeld = new Gauge({ name: 'cdc_leases_held', help: 'Leases this worker holds.', registers })
  const leasesKnown = new Gauge({
    name: 'cdc_leases_known',
    help: 'Leases in the table that have not ended.',
    registers,
  })
  const leasesUnowned = new Gauge({
    name: 'cdc_leases_unowned',
    help: 'Leases nobody owns. Above 0 for long: nobody reads that shard.',
    registers,
  })
  const leasesExpired = new Gauge({
    name: 'cdc_leases_expired',
    help: 'Leases whose owner has not renewed them for the lease time. Above 0 for long: nobody takes them over.',
    registers,
  })
  const leasesCorrupt = new Gauge({
    name: 'cdc_leases_corrupt',
    help: 'Items of the lease table that could not be read as leases.',
    registers,
  })
  const leaseEvents = new Counter({
    name: 'cdc_lease_events_total',
    help: 'taken, stolen (expired under its owner), adopted, received, forced, handed-over, left, lost, shard-end.',
    labelNames: ['event'],
    registers,
  })
  const renewSeconds = new Histogram({
    name: 'cdc_lease_renew_duration_seconds',
    help: 'Time of a successful renewal.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  })
  const renewFailures = new Counter({
    name: 'cdc_lease_write_failures_total',
    help: 'Writes to the lease table that failed and were tried again.',
    registers,
  })
  const clockOffset = new Gauge({
    name: 'cdc_clock_offset_seconds',
    help: 'Clock of the lease table minus ours.',
    registers,
  })
  const clockUnknown = new Gauge({
    name: 'cdc_clock_offset_unknown',
    help: '1 when the lease table gave no Date header and fences follow our own clock.',
    registers,
  })
  const fenceAhead = new Gauge({
    name: 'cdc_fence_ahead_seconds',
    help: 'How far the newest fence lies ahead of the clock. Large: a clock was wrong once.',
    registers,
  })

  return {
    leasesHeld: (leases: number): void => leasesHeld.set(leases),
    leases(counts: { known: number; unowned: number; corrupt: number }): void {
      leasesKnown.set(counts.known)
      leasesUnowned.set(counts.unowned)
      leasesCorrupt.set(counts.corrupt)
    },
    expired: (leases: number): void => leasesExpired.set(leases),
    leaseTaken: (how: string): void => leaseEvents.inc({ event: how }),
    leaseEnded: (how: string): void => leaseEvents.inc({ event: how }),
    renewal(outcome: 'renewed' | 'failed', seconds: number): void {
      if (outcome === 'renewed') renewSeconds.observe(seconds)
      else renewFailures.inc()
    },
    clock(readings: { offsetMs: number | undefined; fenceAheadSeconds: number }): void {
      clockUnknown.set(readings.offsetMs === undefined ? 1 : 0)
      clockOffset.set((readings.offsetMs ?? 0) / 1000)
      fenceAhead.set(readings.fenceAheadSeconds)
    },
  }
}
