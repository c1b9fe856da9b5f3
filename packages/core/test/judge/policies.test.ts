/**
 * Certificate policies (RFC 5280 §6.1) for a verifier that takes any policy: what counts is whether
 * one holds where a CA demands it.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import { type Certificate, encodeExtension, type Oid } from '@countersign/core/credential'
import { type Entity, root, type Shape, verdict } from './world.ts'

const gold: Oid = '2.25.1'
const silver: Oid = '2.25.2'
const any: Oid = '2.5.29.32.0'

const policies = (...oids: readonly Oid[]): Uint8Array =>
  encodeExtension(
    '2.5.29.32',
    false,
    der.sequence(...oids.map((oid) => der.sequence(der.oid(oid)))),
  )
const demands = (skip: number): Uint8Array =>
  encodeExtension('2.5.29.36', true, der.sequence(der.implicitPrimitive(0, Uint8Array.of(skip))))
const noMapping = (skip: number): Uint8Array =>
  encodeExtension('2.5.29.36', true, der.sequence(der.implicitPrimitive(1, Uint8Array.of(skip))))
const noAny = (skip: number): Uint8Array => encodeExtension('2.5.29.54', true, der.integer(skip))
const maps = (...pairs: readonly (readonly [Oid, Oid])[]): Uint8Array =>
  encodeExtension(
    '2.5.29.33',
    true,
    der.sequence(...pairs.map(([from, to]) => der.sequence(der.oid(from), der.oid(to)))),
  )

let anchor: Entity

before(async () => {
  anchor = await root()
})

interface Case {
  readonly says: string
  readonly anchor?: readonly Uint8Array[]
  /** Extensions of each certificate below the anchor, the leaf last. */
  readonly links: readonly (readonly Uint8Array[])[]
  readonly holds: boolean
}

const cases: readonly Case[] = [
  { says: 'nobody demands one and nobody states one', links: [[], []], holds: true },
  {
    says: 'policies differ and nobody demands one',
    links: [[policies(gold)], [policies(silver)]],
    holds: true,
  },
  {
    says: 'one is demanded and holds',
    links: [[demands(0), policies(gold)], [policies(gold, silver)]],
    holds: true,
  },
  {
    says: 'one is demanded and differs',
    links: [[demands(0), policies(gold)], [policies(silver)]],
    holds: false,
  },
  {
    says: 'one is demanded and the leaf has none',
    links: [[demands(0), policies(gold)], []],
    holds: false,
  },
  {
    says: 'one is demanded and the CA has none',
    links: [[demands(0)], [policies(gold)]],
    holds: false,
  },
  {
    says: 'the CA allows any',
    links: [[demands(0), policies(any)], [policies(silver)]],
    holds: true,
  },
  {
    says: 'the leaf claims any',
    links: [[demands(0), policies(gold)], [policies(any)]],
    holds: true,
  },
  {
    says: 'any is inhibited in the leaf',
    links: [[demands(0), policies(gold), noAny(0)], [policies(any)]],
    holds: false,
  },
  {
    says: 'any is inhibited one certificate later',
    links: [[demands(0), policies(gold), noAny(1)], [policies(any)]],
    holds: true,
  },
  {
    says: 'the demand begins after the leaf',
    links: [[demands(2), policies(gold)], [policies(silver)]],
    holds: true,
  },
  {
    says: 'the demand begins at the leaf',
    links: [[demands(1), policies(gold)], [policies(silver)]],
    holds: false,
  },
  {
    says: 'the leaf demands for itself',
    links: [[policies(gold)], [policies(silver), demands(0)]],
    holds: false,
  },
  {
    says: 'the leaf demands for those after it',
    links: [[policies(gold)], [policies(silver), demands(1)]],
    holds: true,
  },
  {
    says: 'a mapping leads to the policy of the leaf',
    links: [[demands(0), policies(gold), maps([gold, silver])], [policies(silver)]],
    holds: true,
  },
  {
    says: 'a mapped policy no longer counts by its old name',
    links: [[demands(0), policies(gold), maps([gold, silver])], [policies(gold)]],
    holds: false,
  },
  {
    says: 'a mapping is inhibited from above',
    anchor: [noMapping(0)],
    links: [[demands(0), policies(gold), maps([gold, silver])], [policies(silver)]],
    holds: false,
  },
  {
    says: 'a mapping under any',
    links: [[demands(0), policies(any), maps([gold, silver])], [policies(silver)]],
    holds: true,
  },
  {
    says: 'the anchor demands',
    anchor: [demands(0)],
    links: [[policies(gold)], [policies(gold)]],
    holds: true,
  },
  {
    says: 'the anchor demands and the chain has none',
    anchor: [demands(0)],
    links: [[], []],
    holds: false,
  },
  {
    says: 'the anchor limits to its own',
    anchor: [demands(0), policies(gold)],
    links: [[policies(silver)], [policies(silver)]],
    holds: false,
  },
]

for (const { says, holds, links, anchor: extra = [] } of cases) {
  test(`policies ${holds ? 'hold' : 'fail'} when ${says}`, async () => {
    const top = extra.length === 0 ? anchor : await root({ extra })
    const bag: Certificate[] = []
    let last = top
    for (const [index, extensions] of links.entries()) {
      const leaf = index === links.length - 1
      const shape: Shape = { name: leaf ? 'leaf' : `CA ${index}`, ca: !leaf, extra: extensions }
      last = await last.issue(shape)
      if (!leaf) bag.push(last.certificate)
    }
    const chain = {
      leaf: last.certificate,
      anchors: [top.certificate],
      intermediates: bag,
    }
    const said = verdict(chain)
    if (holds) assert.equal(said, 'ok')
    else assert.match(said, /^ERR_CHAIN_POLICY link \d .*: certificatePolicies$/)
  })
}

test('mappings that would grow a tree without bound stay linear', async () => {
  const oids = Array.from({ length: 40 }, (_, index) => `2.25.${100 + index}`)
  const all = oids
    .flatMap((from) => oids.map((to): readonly [Oid, Oid] => [from, to]))
    .slice(0, 1000)
  const bag: Certificate[] = []
  let last = anchor
  for (let level = 0; level < 8; level++) {
    last = await last.issue({
      name: `CA ${level}`,
      ca: true,
      extra: [policies(...oids), maps(...all), ...(level === 0 ? [demands(0)] : [])],
    })
    bag.push(last.certificate)
  }
  const leaf = await last.issue({ name: 'leaf', extra: [policies(oids[0] ?? gold)] })
  assert.equal(
    verdict({ leaf: leaf.certificate, anchors: [anchor.certificate], intermediates: bag }),
    'ok',
  )
})
