import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Oldest, Recent } from '../src/recent.ts'
import { seededNumbers } from './support/seededNumbers.ts'

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
