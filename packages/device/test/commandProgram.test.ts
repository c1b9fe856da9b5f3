import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Command, programHandler, systemWorld } from '@countersign/device'

const command: Command = {
  id: '019aae6c00000123456789abcdefabcd',
  name: 'set.point',
  data: { v: 1 },
  text: '{"v":12345678901234567890}',
  expires: Date.UTC(2026, 10, 23),
}
const skip = process.platform === 'win32' ? 'the programs are shell scripts' : false

describe('a program for commands', { skip }, () => {
  let folder = ''
  let programs = 0
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'program-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function program(script: string): Promise<string> {
    const path = join(folder, `program-${programs++}`)
    await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return path
  }

  async function outcomeOf(script: string): Promise<Record<string, unknown>> {
    const handle = await programHandler({ program: await program(script), world: systemWorld() })
    const outcome = await handle(command)
    return 'refused' in outcome
      ? outcome
      : { ...outcome, body: Buffer.from(outcome.body).toString() }
  }

  it('gets the name as its argument and the data as it was written', async () => {
    const { contentType, body } = await outcomeOf('printf "%s|%s|" "$#" "$1"; cat')
    assert.equal(contentType, 'text/plain; charset=utf-8')
    assert.equal(body, '1|set.point|{"v":12345678901234567890}')
  })

  for (const [script, contentType, body] of [
    [`echo '{"done":true}'`, 'application/json', '{"done":true}'],
    ['echo fine', 'text/plain; charset=utf-8', 'fine'],
    [`printf '\\377\\000'`, 'application/octet-stream', '\ufffd\u0000'],
    ['exit 0', 'text/plain; charset=utf-8', ''],
    ['exec <&-; echo 1', 'application/json', '1'],
  ] as const)
    it(`${script}: ${contentType}`, async () => {
      assert.deepEqual(await outcomeOf(script), { contentType, body })
    })

  for (const [script, refused] of [
    ['echo first >&2; echo " the valve is stuck" >&2; echo >&2; exit 3', ' the valve is stuck'],
    ['exit 7', 'it ended with 7'],
    ['kill -9 $$', 'it ended with SIGKILL'],
    ['yes', 'it printed more than 65536 bytes'],
    ['head -c 100000 /dev/zero >&2; echo >&2; echo last >&2; exit 1', 'last'],
  ] as const)
    it(`${script}: refused`, async () => {
      assert.deepEqual(await outcomeOf(script), { refused })
    })

  it('is ended with all that it started when its time is over, or the device stops', async () => {
    const pids = join(folder, 'pids')
    const path = await program(`echo $$ >${pids}; sleep 600 & echo $! >>${pids}; echo up; wait`)
    for (const how of ['time', 'stop'] as const) {
      const stop = new AbortController()
      const world = {
        /** The time is over when the program is seen to run. */
        wait: async (milliseconds: number, signal?: AbortSignal) => {
          assert.equal(milliseconds, 60_000)
          while ((await lines(pids)) < 2) await new Promise((resolve) => setImmediate(resolve))
          if (how === 'time') return
          stop.abort()
          assert.equal(signal?.aborted, true)
        },
      }
      const handle = await programHandler({ program: path, world, signal: stop.signal })
      const refused =
        how === 'time' ? 'it took longer than 60 seconds' : 'the device was stopped meanwhile'
      assert.deepEqual(await handle(command), { refused })
      const started = (await readFile(pids, 'utf8')).trim().split('\n').map(Number)
      assert.equal(started.length, 2)
      for (const pid of started) await gone(pid)
      await rm(pids)
    }
  })

  it('that cannot be run is said before anything else is done', async () => {
    const plain = join(folder, 'plain')
    await writeFile(plain, 'x', { mode: 0o600 })
    const missing = join(folder, 'missing')
    for (const path of process.getuid?.() === 0 ? [missing] : [missing, plain])
      await assert.rejects(programHandler({ program: path, world: systemWorld() }), {
        name: 'CallerError',
        code: 'ERR_COMMAND_PROGRAM',
        where: path,
      })
    await writeFile(plain, '#!/no/such/interpreter\n')
    const broken = join(folder, 'broken')
    await writeFile(broken, '#!/no/such/interpreter\n', { mode: 0o755 })
    const handle = await programHandler({ program: broken, world: systemWorld() })
    assert.deepEqual(await handle(command), { refused: 'the program did not start (ENOENT)' })
  })
})

async function lines(path: string): Promise<number> {
  return readFile(path, 'utf8').then(
    (text) => text.split('\n').length - 1,
    () => 0,
  )
}

/** Killed, and taken away by whoever inherits it: a zombie still answers signal 0. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    if (status === undefined || / [ZX] /.test(status)) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}
