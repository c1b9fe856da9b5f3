/** With aiocoap over UDP where it is, and for everyone with the datagrams that were recorded. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { drawnKeys, fixedKeys } from '../../edhoc/peers/claims.ts'
import { missingPythonPeers } from '../../peers/python.ts'
import { aiocoapVersion, type Recorded, withClient, withServer } from './aiocoapProcess.ts'
import { asked, clientScenes, knownTo, serverScenes } from './aiocoapScenes.ts'
import { type Datagrams, OwnServer } from './ownEnds.ts'

interface Recording {
  readonly source: string
  readonly conversations: readonly Recorded[]
}

const file = new URL('../../../../../vectors/edhoc-aiocoap.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording

const heard = asked.map(([path, payload]) => `${path} ${payload}`)
/** 2.04, and "heard " in front of what was said. */
const answers = asked.map(([, payload]) => `68 686561726420${payload}`)

describe('with aiocoap, as it was recorded', () => {
  for (const { name, run } of serverScenes)
    test(name, async () => {
      const { wire, rest } = replayed(name)
      await run(wire, knownTo(fixedKeys(name)))
      assert.equal(rest(), 0)
    })

  for (const { name } of clientScenes)
    test(name, async () => {
      const server = new OwnServer(knownTo(fixedKeys(name)))
      const { wire, rest } = replayed(name)
      while (rest() > 0) wire.send(await server.answer(await wire.next()))
      assert.deepEqual(server.heard, heard)
    })
})

describe('with aiocoap itself', () => {
  const skip = missingPythonPeers()
  for (const { name, run } of serverScenes)
    test(name, { skip }, async () => {
      const known = knownTo(drawnKeys())
      await withServer(known, [], (wire) => run(wire, known))
    })

  for (const { name, combined } of clientScenes)
    test(name, { skip }, async () => {
      const seen = await withClient(knownTo(drawnKeys()), [], combined)
      assert.deepEqual(seen, { answers, heard })
      assert.equal(`aiocoap ${aiocoapVersion}`, recording.source)
    })
})

/** aiocoap's datagrams; ours have to be the ones that were sent then. */
function replayed(name: string): { readonly wire: Datagrams; readonly rest: () => number } {
  const found = recording.conversations.find((one) => one.name === name)
  assert.ok(found)
  const left = [...found.datagrams]
  return {
    rest: () => left.length,
    wire: {
      send(datagram) {
        assert.deepEqual({ from: 'us', bytes: hex(datagram) }, left.shift())
      },
      async next() {
        const datagram = left.shift()
        assert.equal(datagram?.from, 'aiocoap')
        return fromHex(datagram.bytes)
      },
    },
  }
}
