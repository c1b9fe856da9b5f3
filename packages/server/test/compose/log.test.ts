import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { createLog } from '../../src/log.ts'

function lines(isTTY: boolean, level: 'debug' | 'info' | 'silent' = 'info') {
  const written: string[] = []
  return { written, log: createLog(level, { isTTY, write: (text) => void written.push(text) }) }
}

describe('log lines', () => {
  it('are JSON for a machine: level, time, message and fields, one a line', () => {
    const { log, written } = lines(false)
    log.warn({ code: 'ERR_X', address: '192.0.2.1' }, 'refused')
    assert.equal(written.length, 1)
    const { time, ...rest } = JSON.parse(written[0] ?? '') as Record<string, unknown>
    assert.deepEqual(rest, { level: 'warn', code: 'ERR_X', address: '192.0.2.1', msg: 'refused' })
    assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    assert.equal(written[0]?.endsWith('\n'), true)
  })

  it('are one readable line on a terminal, whatever a field contains', () => {
    const { log, written } = lines(true)
    log.error({ subject: 'a b\u001b[2J', n: 3 }, 'went\nwrong')
    const [line = ''] = written
    const text = stripVTControlCharacters(line)
    assert.match(text, /^\d\d:\d\d:\d\d error went\uFFFDwrong subject="a b\uFFFD\[2J" n=3\n$/)
  })

  it('leave out what is below the level', () => {
    const { log, written } = lines(false)
    log.debug({}, 'detail')
    assert.equal(written.length, 0)
    const quiet = lines(false, 'silent')
    quiet.log.error({}, 'x')
    assert.equal(quiet.written.length, 0)
  })

  it('strike out a secret that slips in', () => {
    const { log, written } = lines(false)
    log.info({ token: 'abc', secret: 'def', passphrase: 'ghi', authorization: 'jkl' }, 'm')
    assert.doesNotMatch(written.join(''), /abc|def|ghi|jkl/)
  })
})
