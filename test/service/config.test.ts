import { describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config.ts'

const required = {
  STREAM_NAME: 'cdc',
  LEASE_TABLE: 'leases',
  DEAD_LETTER_QUEUE_URL: 'http://127.0.0.1:9324/000000000000/letters',
  OPENSEARCH_URL: 'https://search.example.com',
}

function faults(env: Record<string, string>): string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    return (error as Error).message.split('\n')
  }
}

describe('settings', () => {
  test('the four required ones are enough, the rest has defaults', () => {
    expect(readConfig(required)).toMatchObject({
      LEASE_MS: 10_000,
      INDEX_PATTERNS: ['public_*'],
      ON_UNKNOWN_TABLE: 'hold',
    })
  })

  test('all mistakes are reported at once, each with what was found and what was expected', () => {
    const found = faults({
      ...required,
      STREAM_NAME: '',
      LEASE_MS: 'soon',
      OPENSEARCH_URL: 'search.example.com',
      ON_UNKNOWN_TABLE: 'drop',
    })
    expect(found).toHaveLength(4)
    expect(found[0]).toContain('STREAM_NAME is not set')
    expect(found.join('\n')).toMatch(/OPENSEARCH_URL is "search.example.com": expected a URL with its scheme/)
    expect(found.join('\n')).toMatch(/LEASE_MS is "soon": expected a whole number from 1000 to 600000/)
    expect(found.join('\n')).toMatch(/ON_UNKNOWN_TABLE is "drop": expected one of hold, dead-letter, skip/)
  })

  test('plain HTTP is refused beyond this machine and its bare host names', () => {
    expect(faults({ ...required, OPENSEARCH_URL: 'http://search.example.com' })).toHaveLength(1)
    for (const url of ['http://127.0.0.1:9200', 'http://localhost:9200', 'http://opensearch:9200']) {
      expect(faults({ ...required, OPENSEARCH_URL: url })).toEqual([])
    }
  })

  test('a password inside a URL is refused and not shown', () => {
    const found = faults({ ...required, OPENSEARCH_URL: 'https://user:secret@search.example.com' })
    expect(found).toHaveLength(1)
    expect(found[0]).not.toContain('secret')
  })
})
