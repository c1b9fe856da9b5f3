/** The judge of peers: roles, purposes, scoped anchors, and what it remembers. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import {
  type Anchor,
  type Expectation,
  Judge,
  purposes,
  type Role,
  type VerifiedPeer,
} from '@countersign/core/credential'
import { CallerError, PeerError } from '@countersign/core/errors'
import { refuses } from '../x509/support.ts'
import { countingCrypto, day, type Entity, fingerprint, now, root, type Shape } from './world.ts'

const asOwned: Expectation = { role: 'owner', purpose: 'clientAuth' }
const asMade: Expectation = { role: 'maker', purpose: 'clientAuth' }
const asServer: Expectation = { role: 'server', purpose: 'serverAuth' }
const clientOnly = [purposes.clientAuth]

let house: Entity
const cas = new Map<Role, Entity>()

before(async () => {
  house = await root({ notAfter: now + 100 * day })
  for (const role of ['maker', 'owner', 'server', 'operator'] as const) {
    const shape = { name: `${role} CA`, ca: true, pathLen: 0, notAfter: now + 50 * day }
    cas.set(role, await house.issue(shape))
  }
})

function ca(role: Role): Entity {
  const found = cas.get(role)
  assert.ok(found)
  return found
}

function anchorOf(role: Role, of: Entity = ca(role), more: Partial<Anchor> = {}): Anchor {
  return { role, certificate: of.certificate, origin: 'house', scope: {}, ...more }
}

interface Bench {
  readonly judge: Judge
  readonly crypto: ReturnType<typeof countingCrypto>
  readonly clock: { time: number }
  readonly ask: (leaf: Entity, expectation: Expectation, bag?: readonly Entity[]) => VerifiedPeer
}

function bench(anchors?: readonly Anchor[], cachedLeavesMax = 100): Bench {
  const crypto = countingCrypto()
  const clock = { time: now }
  const judge = new Judge({
    crypto,
    clock: { now: () => clock.time },
    anchors: anchors ?? [...cas.keys()].map((role) => anchorOf(role)),
    cachedLeavesMax,
  })
  const ask: Bench['ask'] = (leaf, expectation, bag = []) =>
    judge.judge(
      leaf.certificate.der,
      bag.map(({ certificate }) => certificate.der),
      expectation,
    )
  return { judge, crypto, clock, ask }
}

function device(role: Role, shape: Shape = {}): Promise<Entity> {
  const usual = { name: 'device', deviceSerial: 'A-0001', extKeyUsage: clientOnly }
  return ca(role).issue({ ...usual, ...shape })
}

test('a leaf under the anchor of its role is verified, and the proof says by what', async () => {
  const leaf = await device('owner')
  const peer = bench().ask(leaf, asOwned)
  assert.equal(peer.role, 'owner')
  assert.equal(peer.purpose, 'clientAuth')
  assert.equal(peer.fingerprint, fingerprint(leaf.certificate))
  assert.equal(peer.anchor.certificate, ca('owner').certificate)
  assert.deepEqual(
    peer.path.map(({ der }) => der),
    [leaf.certificate.der, ca('owner').certificate.der],
  )
  assert.equal(peer.notAfter, leaf.certificate.notAfter)
  assert.ok(Object.isFrozen(peer))
})

test('a chain that carries its issuing CA and the root ends at the anchor all the same', async () => {
  const leaf = await device('owner')
  assert.equal(bench().ask(leaf, asOwned, [house, ca('owner')]).path.length, 2)
})

test('an anchor of another role is never accepted, and the role it has is named', async () => {
  for (const given of ['maker', 'owner', 'operator'] as const) {
    const leaf = await device(given, { extKeyUsage: [purposes.clientAuth, purposes.serverAuth] })
    const { ask } = bench()
    const error = refuses(() => ask(leaf, asServer), 'ERR_CHAIN_ROLE')
    assert.match(error.message, new RegExp(`role ${given}, and server is expected`))
    assert.equal(error.where, `link 1 (CN=${given} CA): role`)
  }
})

test('an IDevID that poses as the server is refused by its role', async () => {
  const idevid = await device('maker', { extKeyUsage: [] })
  refuses(() => bench().ask(idevid, asServer), 'ERR_CHAIN_ROLE')
})

test('a leaf under the root is of no role', async () => {
  const leaf = await house.issue({ name: 'device', extKeyUsage: clientOnly })
  refuses(() => bench().ask(leaf, asOwned), 'ERR_CHAIN_UNKNOWN_ISSUER')
  refuses(() => bench().ask(leaf, asOwned, [house]), 'ERR_CHAIN_UNKNOWN_ISSUER')
})

function thrown(anchor: Anchor): unknown {
  try {
    return bench([anchor])
  } catch (error) {
    return error
  }
}

test('our own root, and what is no CA, cannot be made an anchor', async () => {
  const codes = [anchorOf('owner', house), anchorOf('owner', await device('owner'))].map(thrown)
  assert.ok(codes.every((error) => error instanceof CallerError && error.code === 'ERR_ANCHOR'))
  assert.ok(!(thrown(anchorOf('maker', house, { origin: 'foreign' })) instanceof Error))
})

test('a leaf acting as a CA is refused', async () => {
  const leaf = await device('owner')
  const forged = await leaf.issue({ name: 'device', extKeyUsage: clientOnly })
  refuses(
    () => bench().ask(forged, asOwned, [leaf]),
    'ERR_CHAIN_NOT_A_CA',
    'link 1 (CN=device, serialNumber=A-0001): basicConstraints',
  )
})

test('a CA certificate is no peer, not even the anchor itself', async () => {
  const wide = await house.issue({ name: 'Wide CA', ca: true })
  const sub = await wide.issue({
    name: 'Sub CA',
    ca: true,
    extKeyUsage: clientOnly,
    keyUsage: ['keyCertSign', 'digitalSignature'],
  })
  const { ask } = bench([anchorOf('owner', wide)])
  refuses(() => ask(sub, asOwned), 'ERR_CHAIN_PURPOSE', 'link 0 (CN=Sub CA): basicConstraints')
  refuses(() => bench().ask(ca('owner'), asOwned), 'ERR_CHAIN_PURPOSE')
})

test('a purpose is explicit, except in a certificate of a maker', async () => {
  const silent = { extKeyUsage: [] }
  assert.equal(bench().ask(await device('maker', silent), asMade).role, 'maker')
  const owned = await device('owner', silent)
  refuses(() => bench().ask(owned, asOwned), 'ERR_CHAIN_PURPOSE')
  const server = await device('server', silent)
  refuses(() => bench().ask(server, asServer), 'ERR_CHAIN_PURPOSE')
  const any = await device('owner', { extKeyUsage: ['2.5.29.37.0'] })
  refuses(() => bench().ask(any, asOwned), 'ERR_CHAIN_PURPOSE')
})

test('the key usage must fit the purpose', async () => {
  const agree = await device('owner', { keyUsage: ['keyAgreement'] })
  refuses(
    () => bench().ask(agree, asOwned),
    'ERR_CHAIN_KEY_USAGE',
    'link 0 (CN=device, serialNumber=A-0001): keyUsage',
  )
  const dh: Expectation = { role: 'server', purpose: 'serverEdhocDh' }
  const extKeyUsage = [purposes.serverEdhocDh]
  const statics = await device('server', { keyUsage: ['keyAgreement'], extKeyUsage })
  assert.equal(bench().ask(statics, dh).purpose, 'serverEdhocDh')
  const signs = await device('server', { extKeyUsage })
  refuses(() => bench().ask(signs, dh), 'ERR_CHAIN_KEY_USAGE')
})

test('a device with a static key is judged by what its key does, also when it is known', async () => {
  const agree = await device('owner', { keyUsage: ['keyAgreement'] })
  const { ask } = bench()
  const byStaticKey: Expectation = { ...asOwned, keyUsage: 'keyAgreement' }
  assert.equal(ask(agree, byStaticKey).role, 'owner')
  // What is remembered is remembered for this use.
  refuses(() => ask(agree, asOwned), 'ERR_CHAIN_KEY_USAGE')
  refuses(() => ask(agree, { ...asOwned, keyUsage: 'digitalSignature' }), 'ERR_CHAIN_KEY_USAGE')
})

test('a known leaf costs one hash: no signature, no key, no parsing', async () => {
  const leaf = await device('owner')
  const { ask, crypto } = bench()
  const first = ask(leaf, asOwned)
  assert.equal(crypto.count.verify, 1)
  assert.equal(ask(leaf, asOwned), first)
  assert.equal(ask(leaf, asOwned, [house, house, house]), first)
  assert.deepEqual(crypto.count, { verify: 1, import: 1 })
})

test('the key of an anchor is imported once', async () => {
  const { ask, crypto } = bench()
  for (let index = 0; index < 5; index++) ask(await device('owner'), asOwned)
  assert.deepEqual(crypto.count, { verify: 5, import: 1 })
})

test('what is remembered for one expectation is not for another', async () => {
  const altNames = [{ kind: 'dns', value: 'iot.example.com' } as const]
  const leaf = await device('server', { extKeyUsage: [purposes.serverAuth], altNames })
  const { ask } = bench()
  const named = (value: string): Expectation => ({ ...asServer, name: { kind: 'DNS', value } })
  ask(leaf, asServer)
  ask(leaf, named('iot.example.com'))
  refuses(() => ask(leaf, named('evil.example.com')), 'ERR_CHAIN_NAME')
  refuses(() => ask(leaf, { role: 'server', purpose: 'clientAuth' }), 'ERR_CHAIN_PURPOSE')
  refuses(() => ask(leaf, asOwned), 'ERR_CHAIN_ROLE')
})

test('dates are judged again on every hit', async () => {
  const leaf = await device('owner', { notBefore: now - day, notAfter: now + day })
  const { ask, clock } = bench()
  ask(leaf, asOwned)
  clock.time = now + day + 999
  ask(leaf, asOwned)
  clock.time = now + day + 1000
  refuses(() => ask(leaf, asOwned), 'ERR_CERT_EXPIRED')
  clock.time = now - day - 1
  refuses(() => ask(leaf, asOwned), 'ERR_CERT_NOT_YET_VALID')
  clock.time = now
  ask(leaf, asOwned)
})

test('an anchor that expires ends its leaves', async () => {
  const leaf = await device('owner', { notAfter: now + 90 * day })
  const { ask, clock } = bench()
  assert.equal(ask(leaf, asOwned).notAfter, now + 50 * day)
  clock.time = now + 60 * day
  refuses(() => ask(leaf, asOwned), 'ERR_CHAIN_EXPIRED', 'link 1 (CN=owner CA): validity.notAfter')
})

test('a change of anchors forgets everything', async () => {
  const leaf = await device('owner')
  const { judge, ask, crypto } = bench()
  ask(leaf, asOwned)
  judge.setAnchors([anchorOf('maker')])
  refuses(() => ask(leaf, asOwned), 'ERR_CHAIN_UNKNOWN_ISSUER')
  judge.setAnchors([anchorOf('owner')])
  ask(leaf, asOwned)
  assert.equal(crypto.count.verify, 2)
})

test('a leaf of another role is refused from memory, until the anchors change', async () => {
  const leaf = await device('maker')
  const { judge, ask, crypto } = bench()
  refuses(() => ask(leaf, asOwned), 'ERR_CHAIN_ROLE')
  const spent = crypto.count.verify
  refuses(() => ask(leaf, asOwned), 'ERR_CHAIN_ROLE')
  assert.equal(crypto.count.verify, spent)
  const both = [anchorOf('maker'), anchorOf('owner', ca('maker'))]
  judge.setAnchors(both)
  assert.equal(ask(leaf, asOwned).role, 'owner')
})

test('who shows a leaf with another chain cannot have its owner refused', async () => {
  // One CA of a foreign maker, certified by an anchor of each role.
  const roots = { maker: await root({ name: 'M' }), operator: await root({ name: 'O' }) }
  const made = await roots.maker.issue({ name: 'Sub', ca: true })
  const operated = await roots.operator.issue({ name: 'Sub', ca: true, signer: made.signer })
  const leaf = await made.issue({ name: 'd', extKeyUsage: [] })
  const { ask } = bench([
    anchorOf('maker', roots.maker, { origin: 'foreign' }),
    anchorOf('operator', roots.operator, { origin: 'foreign' }),
  ])
  refuses(() => ask(leaf, asMade, [operated]), 'ERR_CHAIN_ROLE')
  assert.equal(ask(leaf, asMade, [made]).role, 'maker')
})

test('no path leads through a CA that anchors another role', async () => {
  const leaf = await device('owner')
  // Whoever gives the house's root as a foreign maker must not make makers of all that the house
  // certified.
  const anchors = [...cas.keys()].map((role) => anchorOf(role))
  const { ask } = bench([...anchors, anchorOf('maker', house, { origin: 'foreign' })])
  const error = refuses(
    () => ask(leaf, asMade, [ca('owner')]),
    'ERR_CHAIN_ROLE',
    'link 1 (CN=owner CA): role',
  )
  assert.match(error.message, /role owner, and maker is expected/)
})

test('the chain that a peer sends costs few signature checks, whatever is in it', async () => {
  // All called like the anchor, each signed by the one before it: every key is tried on every
  // certificate.
  const fakes = [await root({ name: 'owner CA' })]
  const posing = { name: 'owner CA', ca: true, without: ['aki', 'ski'] } as const
  for (let count = 1; count < 8; count++) {
    const last = fakes.at(-1)
    assert.ok(last)
    fakes.push(await last.issue(posing))
  }
  const leaf = await fakes.at(-1)?.issue({ name: 'd', extKeyUsage: clientOnly, without: ['aki'] })
  assert.ok(leaf)
  const { ask, crypto } = bench()
  refuses(() => ask(leaf, asOwned, fakes), /^ERR_CHAIN_/)
  assert.ok(crypto.count.verify <= 2 * 16, String(crypto.count.verify))
})

test('the least recently used leaf is forgotten first, and strangers push nobody out', async () => {
  const [a, b, c] = [await device('owner'), await device('owner'), await device('owner')]
  const { ask, crypto } = bench(undefined, 2)
  ask(a, asOwned)
  ask(b, asOwned)
  ask(a, asOwned)
  const stranger = await (await root({ name: 'owner CA' })).issue({ name: 'x' })
  for (let index = 0; index < 3; index++) refuses(() => ask(stranger, asOwned), /^ERR_CHAIN_/)
  ask(c, asOwned)
  const spent = crypto.count.verify
  ask(a, asOwned)
  assert.equal(crypto.count.verify, spent)
  ask(b, asOwned)
  assert.equal(crypto.count.verify, spent + 1)
})

test('a peer that sends more certificates than a chain has is refused unread', async () => {
  const leaf = await device('owner')
  const { ask, crypto } = bench()
  refuses(
    () =>
      ask(
        leaf,
        asOwned,
        Array.from({ length: 9 }, () => house),
      ),
    'ERR_CHAIN_LIMIT',
  )
  assert.equal(crypto.count.verify, 0)
})

test('what is no certificate is refused at its place', async () => {
  const leaf = await device('owner')
  const { judge } = bench()
  const der = leaf.certificate.der
  refuses(() => judge.judge(Uint8Array.of(1, 2, 3), [], asOwned), 'ERR_CERT_MALFORMED', /link 0: /)
  refuses(() => judge.judge(new Uint8Array(), [], asOwned), 'ERR_CERT_MALFORMED')
  refuses(() => judge.judge(Buffer.concat([der, Buffer.of(0)]), [], asOwned), 'ERR_CERT_MALFORMED')
  refuses(() => judge.judge(der, [der.subarray(1)], asOwned), 'ERR_CERT_MALFORMED', /link 1: /)
})

test('a foreign anchor vouches for its scope only', async () => {
  const foreign = await root({ name: 'Foreign Maker', notAfter: now + 50 * day })
  const scope = { serialPattern: 'ACME-????', notAfter: now + 2 * day, product: 'pump' }
  const anchor = anchorOf('maker', foreign, { origin: 'foreign', scope })
  const make = (deviceSerial: string): Promise<Entity> =>
    foreign.issue({ name: 'd', deviceSerial, extKeyUsage: [], notAfter: now + 9 * day })
  const { ask, clock } = bench([anchor])
  const inside = await make('ACME-0007')
  const peer = ask(inside, asMade)
  assert.equal(peer.anchor.scope.product, 'pump')
  assert.equal(peer.notAfter, now + 2 * day)
  for (const serial of ['ACME-00077', 'ACME-7', 'XACME-0007', 'acme-0007']) {
    const outside = await make(serial)
    const error = refuses(() => ask(outside, asMade), 'ERR_CHAIN_SCOPE')
    assert.match(error.where ?? '', /subject.serialNumber$/)
  }
  const nameless = await foreign.issue({ name: 'ACME-0007', extKeyUsage: [] })
  refuses(() => ask(nameless, asMade), 'ERR_CHAIN_SCOPE')
  clock.time = now + 3 * day
  refuses(() => ask(inside, asMade), 'ERR_CHAIN_SCOPE')
})

test('one foreign CA may be an anchor with a scope for each product', async () => {
  const foreign = await root({ name: 'Foreign Maker' })
  const again = { ...foreign.certificate }
  const scoped = (serialPattern: string, product: string): Anchor => ({
    role: 'maker',
    certificate: product === 'pump' ? foreign.certificate : again,
    origin: 'foreign',
    scope: { serialPattern, product },
  })
  const { ask } = bench([scoped('P-*', 'pump'), scoped('V-*', 'valve')])
  const valve = await foreign.issue({ name: 'd', deviceSerial: 'V-1', extKeyUsage: [] })
  assert.equal(ask(valve, asMade).anchor.scope.product, 'valve')
  const other = await foreign.issue({ name: 'd', deviceSerial: 'X-1', extKeyUsage: [] })
  refuses(() => ask(other, asMade), 'ERR_CHAIN_SCOPE')
})

test('a renewed foreign CA vouches by the scope of each of its certificates', async () => {
  const old = await root({ name: 'Foreign Maker' })
  const renewed = await root({ name: 'Foreign Maker', signer: old.signer })
  const leaf = await old.issue({ name: 'd', deviceSerial: 'B-1', extKeyUsage: [] })
  const { ask } = bench([
    anchorOf('maker', old, { origin: 'foreign', scope: { serialPattern: 'A-*' } }),
    anchorOf('maker', renewed, { origin: 'foreign', scope: { serialPattern: 'B-*' } }),
  ])
  assert.equal(ask(leaf, asMade).anchor.scope.serialPattern, 'B-*')
  const other = await old.issue({ name: 'd', deviceSerial: 'C-1', extKeyUsage: [] })
  refuses(() => ask(other, asMade), 'ERR_CHAIN_SCOPE')
})

test('every refusal names a place and a hint', async () => {
  const leaf = await device('owner', { notAfter: now - day })
  try {
    bench().ask(leaf, asOwned)
    assert.fail('accepted')
  } catch (error) {
    assert.ok(error instanceof PeerError)
    assert.ok(error.where !== undefined && error.hint !== undefined)
  }
})
