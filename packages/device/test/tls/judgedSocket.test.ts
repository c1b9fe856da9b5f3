import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { connectJudged } from '../../src/judgedSocket.ts'
import { systemWorld } from '../../src/index.ts'
import { parseTarget } from '../../src/target.ts'

const target = parseTarget('https://gate.example', '00'.repeat(32))

test('a stream that comes when nobody wants it any more is closed', async () => {
  const closing = new AbortController()
  const [stream] = duplexPair()
  const world = {
    ...systemWorld(),
    tls: async () => {
      closing.abort()
      return stream
    },
  }
  const heard: string[] = []
  const options = {
    world,
    target,
    credential: undefined,
    onConnected: () => heard.push('connected'),
  }
  const connecting = connectJudged(options, 'http/1.1', closing.signal)
  await assert.rejects(connecting, { code: 'ERR_SERVER_UNREACHABLE' })
  assert.ok(stream.destroyed)
  assert.deepEqual(heard, [])
})
