/** The environment to settings: defaults, and every mistake at once. */
import { expect, test } from 'vitest'
import { isSelected } from '../../docker/dms/catalog.ts'
import { helpText, readSettings, SettingsError } from '../../docker/dms/settings.ts'

const required = {
  DMS_SOURCE_URL: 'postgresql://u:secret@db/app',
  DMS_STREAM: 's',
  DMS_TABLES: 'public.a, public.b',
}

function mistakes(env: Record<string, string>): string[] {
  try {
    readSettings(env)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes
    throw error
  }
}

test('defaults are what the stack gives to DMS', () => {
  const settings = readSettings(required)
  expect(settings).toMatchObject({
    tables: ['public.a', 'public.b'],
    taskType: 'full-load-and-cdc',
    start: 'resume',
    tablePrep: 'drop-and-create',
    includeControlDetails: false,
  })
  expect(settings.records).toMatchObject({
    messageFormat: 'json-unformatted',
    includeNullAndEmpty: true,
    includeTransactionDetails: true,
    beforeImageField: 'before-image',
    partition: 'dms',
    mapBooleanAsBoolean: true,
    useLargeIntegerValue: true,
    numeric: 'digits',
  })
})

test('all mistakes are reported at once, misspelt names among them, and the URL is not repeated', () => {
  const found = mistakes({
    DMS_SOURCE_URL: 'mysql://u:secret@db',
    DMS_TABLES: 'orders',
    DMS_NUMERIC: 'exact',
    DMS_BEFORE_IMAGE: 'yes',
    DMS_PUT_RECORDS_MAX: '501',
    DMS_PARTITON: 'dms',
  })
  expect(found).toHaveLength(7)
  expect(found.join('\n')).toContain('DMS_PARTITON is not a setting')
  expect(found.join('\n')).toContain('DMS_STREAM is missing')
  expect(found.join('\n')).toContain('DMS_NUMERIC is "exact": expected digits or double')
  expect(found.join('\n')).not.toContain('secret')
})

test('before images can be renamed and switched off', () => {
  expect(readSettings({ ...required, DMS_BEFORE_IMAGE_FIELD: 'bi' }).records.beforeImageField).toBe('bi')
  expect(readSettings({ ...required, DMS_BEFORE_IMAGE: 'false' }).records.beforeImageField).toBeNull()
})

test('help names every setting it reads', () => {
  for (const name of ['DMS_TABLES', 'DMS_PARTITION_BY_KEY', 'DMS_RESEND_TRANSACTIONS'])
    expect(helpText()).toContain(name)
})

test('a selection takes % for any text and nothing else as special', () => {
  const table = { schema: 'public', name: 'order_items' }
  for (const selection of [
    'public.order_items',
    'public.%',
    '%.%',
    'public.order%',
    'pub%.%items',
    'public.%_%s',
  ]) {
    expect(isSelected(selection, table), selection).toBe(true)
  }
  for (const selection of [
    'public.order',
    'public.Order_items',
    'public.%x',
    'other.%',
    'public.order.items',
    'public.%sitems',
  ]) {
    expect(isSelected(selection, table), selection).toBe(false)
  }
})
