import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { holdOther } from '../../src/console/bothLoopbacks.ts'

async function listening(t: TestContext, server: Server, at: object): Promise<number> {
  server.listen(at)
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function noIpv6(): Promise<string | false> {
  const probe = createServer().listen(0, '::1')
  const there = await once(probe, 'listening').then(
    () => true,
    () => false,
  )
  probe.close()
  return there ? false : 'this machine has no ::1'
}

const skip = await noIpv6()

describe('both addresses of localhost', { skip }, () => {
  for (const [own, other] of [
    ['127.0.0.1', '[::1]'],
    ['::1', '127.0.0.1'],
  ] as const)
    it(`a door on ${own} answers on ${other} too, and nobody else can`, async (t) => {
      const door = createHttpServer((_asked, answer) => answer.end('ours'))
      const port = await listening(t, door, { host: own, port: 0 })
      const held = await holdOther(door)
      assert.equal(held.ours, true)
      const answer = await fetch(`http://${other}:${port}/`, { headers: { connection: 'close' } })
      assert.equal(await answer.text(), 'ours')
      const thief = createServer().listen(port, other.replace(/[[\]]/g, ''))
      const [error] = await once(thief, 'error')
      assert.equal(error.code, 'EADDRINUSE')
      await held.close()
    })

  it('says so when somebody else was there first', async (t) => {
    const thief = createServer()
    const port = await listening(t, thief, { host: '::1', port: 0 })
    const door = createServer()
    await listening(t, door, { host: '127.0.0.1', port })
    assert.equal((await holdOther(door)).ours, false)
  })

  it('a door on another address of this machine is not called localhost', async (t) => {
    const door = createServer()
    await listening(t, door, { host: '127.0.0.2', port: 0 })
    assert.equal((await holdOther(door)).ours, false)
  })

  it('a door elsewhere has no other address', async (t) => {
    const door = createServer()
    await listening(t, door, { host: '0.0.0.0', port: 0 })
    assert.equal((await holdOther(door)).ours, true)
  })
})
