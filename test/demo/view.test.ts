/** What is written to a terminal, and what to a log. */
import { expect, test } from 'vitest'
import { createView } from '../../docker/demo/view.ts'

function viewOn(output: { isTTY?: boolean; columns?: number }) {
  const written: string[] = []
  let nowMs = 0
  const view = createView({ ...output, write: (text: string) => written.push(text) }, () => nowMs)
  return { view, written, pass: (ms: number) => (nowMs += ms) }
}

test('a log gets the first line of the status every two seconds, and no escape sequence', () => {
  const { view, written, pass } = viewOn({})
  view.show(['one', 'shard'])
  pass(1999)
  view.show(['two', 'shard'])
  pass(1)
  view.show(['three', 'shard'])
  view.say('done')
  view.clear()
  expect(written.join('')).toBe('one\nthree\ndone\n')
})

test('a terminal is drawn over, and a line that stays is put above', () => {
  const { view, written } = viewOn({ isTTY: true, columns: 40 })
  view.show(['a', 'b'])
  view.show(['c', 'd'])
  view.say('stays')
  view.clear()
  expect(written).toEqual(['a\nb\n', '\x1b[2A\x1b[Jc\nd\n', '\x1b[2A\x1b[Jstays\nc\nd\n', '\x1b[2A\x1b[J'])
})

test('a line longer than the terminal is cut, so that it stays one line', () => {
  const { view, written } = viewOn({ isTTY: true, columns: 5 })
  view.show(['🚲🚲🚲🚲🚲🚲'])
  expect(written).toEqual(['🚲🚲🚲🚲\n'])
})
