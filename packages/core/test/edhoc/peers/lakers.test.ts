/** Both sides with lakers: the program itself where it is, and for everyone what was recorded. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { missingPythonPeers } from '../../peers/python.ts'
import { drawnKeys, fixedKeys } from './claims.ts'
import { ForeignSide, replayed, type Step, started } from './foreignSide.ts'
import { scenes } from './lakersScenes.ts'

interface Recording {
  readonly source: string
  readonly conversations: readonly { readonly name: string; readonly steps: readonly Step[] }[]
}

const file = new URL('../../../../../vectors/edhoc-lakers.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording

describe('with lakers, as it was recorded', () => {
  for (const { name, run } of scenes)
    test(name, async () => {
      const found = recording.conversations.find((one) => one.name === name)
      assert.ok(found)
      const lakers = new ForeignSide(replayed(found.steps))
      await run(lakers, fixedKeys(name))
      lakers.close()
    })
})

describe('with lakers itself', () => {
  const skip = missingPythonPeers()
  for (const { name, run } of scenes)
    test(name, { skip }, async () => {
      const lakers = new ForeignSide(started('lakersPeer.py'))
      try {
        await run(lakers, drawnKeys())
      } finally {
        lakers.close()
      }
    })

  test('it is the version that was recorded', { skip }, async () => {
    const lakers = new ForeignSide(started('lakersPeer.py'))
    assert.equal(`lakers-python ${await lakers.version()}`, recording.source)
    lakers.close()
  })
})
