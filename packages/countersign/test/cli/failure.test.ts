import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import { CommanderError } from 'commander'
import { failureOf, report } from '../../src/cli/failure.ts'
import { record, type Terminal, table } from '../../src/cli/terminal.ts'

/** What a terminal was told. */
function listen(json: boolean) {
  const documents: unknown[] = []
  const complaints: string[] = []
  const terminal = {
    json,
    document: (value: unknown) => void documents.push(value),
    complain: (text: string) => void complaints.push(text),
    paint: (_style: string, text: string) => text,
  } as unknown as Terminal
  return { terminal, documents, complaints }
}

describe('a failure', () => {
  it('ends with 1, wrong usage with 2, help with 0', () => {
    const { terminal } = listen(true)
    assert.equal(report(new PeerError('ERR_TOKEN_SPENT', 'spent'), terminal), 1)
    assert.equal(report(new CallerError('ERR_USAGE', 'what?'), terminal), 2)
    assert.equal(report(new CommanderError(1, 'commander.unknownOption', 'error: x'), terminal), 2)
    assert.equal(report(new CommanderError(0, 'commander.helpDisplayed', ''), terminal), 0)
  })

  it('always has a hint, also when whoever threw it gave none', () => {
    const errors: readonly unknown[] = [
      new PeerError('ERR_DEVICE_STATE', 'no'),
      new PeerError('ERR_ANYTHING', 'no'),
      Object.assign(new Error('EACCES: denied'), { code: 'EACCES', syscall: 'open', path: '/x' }),
      new TypeError('undefined is not a function'),
      'a string',
    ]
    for (const error of errors) {
      const { hint, code } = failureOf(error)
      assert.match(hint ?? '', /\.$/, code)
      assert.match(code, /^ERR_[A-Z0-9_]+$/)
    }
  })

  it('of the operating system keeps its code and path; a bug is called one and shown whole', () => {
    const denied = Object.assign(new Error('denied'), {
      code: 'EACCES',
      syscall: 'open',
      path: '/x',
    })
    assert.deepEqual([failureOf(denied).code, failureOf(denied).where], ['ERR_SYSTEM_EACCES', '/x'])
    const carried = new AdapterError('ERR_SYSTEM_EACCES', 'denied', {}, { where: '/x' })
    assert.deepEqual(failureOf(carried), failureOf(denied), 'met by a running server')
    const { terminal, complaints } = listen(false)
    assert.equal(report(new TypeError('oops'), terminal), 1)
    assert.match(complaints.join('\n'), /ERR_BUG[\s\S]*failure\.test\.ts/)
  })

  it('cannot move the cursor or colour the terminal with what a peer said', () => {
    const { terminal, complaints } = listen(false)
    report(new PeerError('ERR_X', 'name \u001b[2J\u202e evil\r\n'), terminal)
    for (const text of complaints) assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u)
  })
})

describe('tables for people', () => {
  it('pad columns, show nothing as a dash, and strip what would move the cursor', () => {
    const text = table(
      ['id', 'name'],
      [
        ['a', null],
        ['bb', 'x\u001b[31m'],
        [7, ''],
      ],
    )
    assert.deepEqual(text.split('\n'), ['ID  NAME', 'a   -', 'bb  x\uFFFD[31m', '7   -'])
    assert.equal(
      record([
        ['a', 1],
        ['long', undefined],
      ]),
      'a     1\nlong  -',
    )
  })

  it('never cut a fingerprint', () => {
    const digest = 'f'.repeat(64)
    assert.match(table(['digest'], [[digest]]), new RegExp(digest))
  })
})
