import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Oldest, Recent } from '../src/recent.ts'
import { seededNumbers } from './support/seededNumbers.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

describe('a memory with a bound', () => {
  it('forgets the one longest unused, whatever is asked and put in between', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const below = seededNumbers(seed)
      const max = 1 + below(20)
      const memory = new Recent<number>(max)
      // The same in the plainest way: a list in the order of use.
      let expected: { readonly key: string; readonly value: number }[] = []
      for (let n = 0; n < 2000; n++) {
        const key = String(below(30))
        const at = expected.find((one) => one.key === key)
        if (below(2) === 0) {
          assert.equal(memory.get(key), at?.value, `seed ${seed}, step ${n}`)
          if (at !== undefined) expected = [...expected.filter((one) => one !== at), at]
        } else {
          memory.set(key, n)
          expected = [...expected.filter((one) => one !== at), { key, value: n }].slice(-max)
        }
      }
    }
  })

  it('holds nothing of what was taken out, whoever took it', async () => {
    const entries = new Map<number, object>()
    const oldest = new Oldest(() => entries.values())
    const all: WeakRef<object>[] = []
    const put = (n: number): void => {
      const value = { n }
      all.push(new WeakRef(value))
      entries.set(n, value)
      entries.delete(n - 10)
    }
    put(0)
    oldest.next()
    for (let n = 1; n < 10_000; n++) put(n)
    // What a WeakRef was asked for lives until its turn is over.
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const alive = all.filter((ref) => ref.deref() !== undefined).length
    assert.ok(alive <= entries.size, `${alive} of ${entries.size} are alive`)
    assert.deepEqual(oldest.next(), { n: 9990 })
  })

  it('finds the oldest also after it had nothing, and after everything was taken out', () => {
    const entries = new Set<string>()
    const oldest = new Oldest(() => entries.values())
    assert.equal(oldest.next(), undefined)
    for (const round of ['a', 'b', 'c']) {
      entries.add(`${round}1`).add(`${round}2`)
      entries.delete(`${round}1`)
      assert.equal(oldest.next(), `${round}2`)
      entries.clear()
      assert.equal(oldest.next(), undefined)
    }
  })
})
