/** The demo's command line. */
import { expect, test } from 'vitest'
import { helpText, readOptions, UsageError } from '../../docker/demo/options.ts'

const read = (...argv: string[]) => readOptions(argv, { randomSeed: () => 7 })

test('without options: a random seed, 28 s, nothing kept', () => {
  expect(read()).toEqual({ seed: 7, seconds: 28, keep: false, localstack: false })
})

test('every option is read', () => {
  expect(read('--seed', '0', '--seconds=60', '--keep', '--localstack')).toEqual({
    seed: 0,
    seconds: 60,
    keep: true,
    localstack: true,
  })
})

test('help is asked for with --help or -h, and names every option', () => {
  expect(read('--help')).toBe('help')
  expect(read('-h')).toBe('help')
  for (const option of ['--seed', '--seconds', '--keep', '--localstack', '--help'])
    expect(helpText).toContain(option)
})

test.each([['--nonsense'], ['extra'], ['--seed'], ['--keep=yes']])('%s is a mistake of usage', argument => {
  expect(() => read(argument)).toThrow(UsageError)
})

test.each([
  ['--seconds', '23'],
  ['--seconds', '1e2'],
  ['--seed', '-1'],
  ['--seed', ''],
])('%s %j is refused with what is expected', (option, value) => {
  expect(() => read(`${option}=${value}`)).toThrow(/whole number from \d+ to \d+/)
})
