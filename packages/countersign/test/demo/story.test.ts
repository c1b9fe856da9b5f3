import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { test } from 'node:test'
import { createStory, fold } from '../../src/demo/story.ts'

function terminal(columns: number | undefined) {
  const written: string[] = []
  const output = new Writable({
    write(chunk, _, done) {
      written.push(stripVTControlCharacters(String(chunk)))
      done()
    },
  })
  const lines = (): string[] => written.join('').split('\n').slice(0, -1)
  return { output: columns === undefined ? output : Object.assign(output, { columns }), lines }
}

const fours = (count: number): string => `  ${'four '.repeat(count).trimEnd()}`
const long =
  'a command to a device on coap is answered: {"heard":{"word":"for-this-device-only"}}, and all of it is told'

test('no line of a step is longer than the terminal, and the time stands behind the last', async () => {
  for (const columns of [80, 100]) {
    const { output, lines } = terminal(columns)
    const story = createStory(output, false)
    await story.step('short', async () => undefined)
    await story.step(long, async () => undefined)
    await assert.rejects(
      story.step(long, async () => {
        throw new Error('no')
      }),
    )
    for (const line of lines()) assert.ok(line.length <= columns, line)
    const [short = '', first = '', second = '', failed = ''] = lines()
    assert.match(short, /^ {2}✓ short +\d+ ms$/)
    assert.match(first, /^ {2}✓ a command .*[^ ]$/)
    assert.match(second, /^ {4}[^ ].*told +\d+ ms$/)
    assert.match(failed, /^ {2}✗ a command/)
    assert.equal(second.indexOf('ms'), short.indexOf('ms'))
  }
})

test('what goes into a file has lines of a hundred columns', async () => {
  const { output, lines } = terminal(undefined)
  const story = createStory(output, false)
  story.say(fours(30))
  assert.deepEqual(lines(), [fours(19), fours(11)])
  assert.equal(story.columns, 100)
})

test('a long line goes on as far in as it began, and a word stays whole', () => {
  assert.deepEqual(fold('  one two three', 9), ['  one two', '  three'])
  assert.deepEqual(fold('http://localhost:8443/open', 9), ['http://localhost:8443/open'])
  assert.deepEqual(fold('', 9), [''])
})
