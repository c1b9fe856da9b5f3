import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { countersign, outcome, start } from '../cli/bin.ts'

const lines =
  '{"id":"one","anchors":[],"leaf":"no certificate"}\r\n\n{"id":2,"anchors":[],"leaf":""}'

describe('verify --batch', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-verify-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('answers the lines of stdin and of a file alike, and a line that is none makes it exit 1', async () => {
    const piped = start(['verify', '--batch'])
    piped.stdin.end(lines)
    const fromStdin = await outcome(piped)
    const answers = fromStdin.stdout.trimEnd().split('\n')
    assert.deepEqual(
      answers.map((line) => (JSON.parse(line) as { id: unknown }).id),
      ['one', 2],
    )
    assert.equal(fromStdin.code, 0)
    const file = join(folder, 'questions.jsonl')
    await writeFile(file, lines)
    assert.deepEqual(await countersign(['verify', '--batch', file]), fromStdin)
    await writeFile(file, 'no question')
    assert.equal((await countersign(['verify', '--batch', file])).code, 1)
  })

  it('says which file is missing', async () => {
    const { code, stdout } = await countersign(['verify', '--batch', '--json', join(folder, 'no')])
    assert.equal(code, 1)
    assert.match(stdout, /"code":"ERR_SYSTEM_ENOENT".*"where":".*no"/)
  })
})
