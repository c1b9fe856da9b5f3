import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { connectControl } from '../../src/control/controlClient.ts'
import { openControl, type RunOperation } from '../../src/control/controlServer.ts'
import { requestBytesMax } from '../../src/control/protocol.ts'
import { silentLog } from '../../src/log.ts'

async function folder(t: TestContext, below = ''): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'control-'))
  t.after(() => rm(base, { recursive: true, force: true }))
  const dir = join(base, below)
  await mkdir(dir, { recursive: true })
  return dir
}

async function open(t: TestContext, dir: string, run: RunOperation) {
  const server = await openControl(dir, run, silentLog)
  t.after(() => server.close())
  const client = await connectControl(server.endpoint)
  assert.ok(client)
  t.after(() => client.close())
  return { server, client }
}

const echo: RunOperation = async (operation, params) => ({ operation, params })

describe('control socket', { skip: process.platform === 'win32' && 'modes are POSIX' }, () => {
  it('many requests on one connection are answered, each with its own result', async (t) => {
    const { client } = await open(t, await folder(t), echo)
    const answers = await Promise.all([1, 2, 3].map((n) => client.call(`op${n}`, { n })))
    assert.deepEqual(
      answers,
      [1, 2, 3].map((n) => ({ operation: `op${n}`, params: { n } })),
    )
  })

  it('what the operating system refused keeps its code and its path', async (t) => {
    const dir = await folder(t)
    const { client } = await open(t, dir, () => stat(join(dir, 'nowhere')))
    await assert.rejects(client.call('any', {}), {
      code: 'ERR_SYSTEM_ENOENT',
      where: join(dir, 'nowhere'),
    })
  })

  it('only the owner may open it', async (t) => {
    const { server } = await open(t, await folder(t), echo)
    assert.equal((await stat(server.endpoint)).mode & 0o777, 0o600)
  })

  it('nobody else may open it at any moment, whatever the umask and the mode of the folder', async (t) => {
    const dir = await folder(t)
    const endpoint = join(dir, 'control.sock')
    const umask = process.umask(0)
    t.after(() => process.umask(umask))
    const listen: unknown = Reflect.get(Server.prototype, 'listen')
    assert.ok(typeof listen === 'function')
    let born = 0
    t.mock.method(Server.prototype, 'listen', function (this: Server, ...args: unknown[]) {
      const server: unknown = Reflect.apply(listen, this, args)
      born = statSync(endpoint).mode & 0o777
      return server
    })
    await open(t, dir, echo)
    assert.equal(born, 0o600)
    assert.equal(process.umask(), 0)
  })

  it('an error keeps its class, code, place and hint', async (t) => {
    const { client } = await open(t, await folder(t), async () => {
      throw new CallerError('ERR_X', 'no', {}, { where: 'there', hint: 'do this' })
    })
    await assert.rejects(client.call('x', {}), (error) => {
      assert.ok(error instanceof CallerError)
      assert.deepEqual(
        [error.code, error.message, error.where, error.hint],
        ['ERR_X', 'no', 'there', 'do this'],
      )
      return true
    })
  })

  it('a socket file left by a process that died is replaced', async (t) => {
    const dir = await folder(t)
    await writeFile(join(dir, 'control.sock'), '')
    assert.equal(await connectControl(join(dir, 'control.sock')), undefined)
    const { client } = await open(t, dir, echo)
    assert.deepEqual(await client.call('a', {}), { operation: 'a', params: {} })
  })

  it('a folder with a path too long for a socket is reached all the same', async (t) => {
    const dir = await folder(t, `${'long'.repeat(20)}/${'path'.repeat(20)}`)
    const { client, server } = await open(t, dir, echo)
    assert.ok(!server.endpoint.startsWith(dir))
    assert.equal((await stat(join(server.endpoint, '..'))).mode & 0o777, 0o700)
    assert.deepEqual(await client.call('a', {}), { operation: 'a', params: {} })
  })

  it('a line without end is refused instead of kept', async (t) => {
    const { server } = await open(t, await folder(t), echo)
    const socket = connect(server.endpoint)
    socket.on('error', () => undefined)
    socket.write('x'.repeat(requestBytesMax + 1))
    assert.match(await text(socket), /ERR_CONTROL_LINE/)
  })

  it('what is no request is refused by name and the connection lives on', async (t) => {
    const { server } = await open(t, await folder(t), echo)
    const socket = connect(server.endpoint)
    socket.end('{]\n[]\nnull\n{"id":7,"operation":"fine"}\n')
    const lines = (await text(socket)).trim().split('\n')
    assert.equal(lines.length, 4)
    for (const line of lines.slice(0, 3)) assert.match(line, /ERR_CONTROL_REQUEST/)
    assert.deepEqual(JSON.parse(lines[3] ?? ''), {
      id: 7,
      result: { operation: 'fine', params: {} },
    })
  })

  it('a call whose server ends is told that nothing is known', async (t) => {
    const dir = await folder(t)
    const { client, server } = await open(t, dir, () => new Promise(() => undefined))
    const call = client.call('slow', {})
    const [outcome] = await Promise.allSettled([call, server.close()])
    assert.equal(outcome.status, 'rejected')
    assert.match(String(outcome.reason.code), /ERR_CONTROL_CLOSED/)
  })
})
