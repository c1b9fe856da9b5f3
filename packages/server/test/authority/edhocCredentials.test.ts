/**
 * What the server shows in EDHOC: made once, followed in time, never lost to a crash, and each
 * certificate good for its own method alone.
 */
import assert from 'node:assert/strict'
import { createECDH, createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cbor, hex } from '@countersign/core/codec'
import {
  type ChainErrorCode,
  Judge,
  parseCertificate,
  type Purpose,
  type VerifiedPeer,
} from '@countersign/core/credential'
import {
  type Authentication,
  Initiator,
  methods,
  type OwnCredential,
  Responder,
  suitesOf,
  type TrustedCredential,
  trustedCertificate,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner, softwareSigner } from '@countersign/element/softwareSigner'
import { softwareStaticKey } from '@countersign/element/softwareStaticKey'
import { anchorOf } from '../../src/compose/anchors.ts'
import {
  edhocKinds,
  edhocLifetimeMs,
  nextBeforeMs,
  promoteBeforeMs,
} from '../../src/authority/edhocCredentials.ts'
import { edhocInUse } from '../../src/authority/edhocSetting.ts'
import { requireAgreement } from '../../src/authority/possession.ts'
import type { EdhocCredentials, EdhocServerCredential } from '../../src/ports.ts'
import { ask, enrol, invite, refusal } from './estClient.ts'
import { day, type House, makeHouse, newKey, passphrase, requestFor } from './house.ts'

async function withHouse(work: (house: House) => Promise<House | void>): Promise<void> {
  const house = await makeHouse()
  let last: House | void = undefined
  try {
    last = await work(house)
  } finally {
    await (last ?? house).close()
  }
}

async function keyFiles(house: House): Promise<readonly string[]> {
  const files = await readdir(join(house.directory, 'keys'))
  return files.filter((file) => file.startsWith('server-edhoc-')).toSorted()
}

/** The daily look, until nothing of it is under way. */
async function tomorrow(house: House, days = 1): Promise<void> {
  house.clock.time += days * day
  house.timers.fire()
  const edhoc = await house.authority.edhocCredentials()
  // A look may wait for one that a notice began: whoever asks after each waits for both.
  for (let look = 0; look < 3; look++) {
    await house.authority.serverCredential()
    await new Promise((resolve) => setImmediate(resolve))
    for (const kind of edhocKinds) assert.equal(await edhoc.promote(kind, 'of none'), false)
  }
}

async function judgeOf(house: House): Promise<(der: Uint8Array, purpose: Purpose) => VerifiedPeer> {
  const anchors = (await house.registry.listAnchors()).map(anchorOf)
  const judge = new Judge({ crypto: nodeCrypto, clock: house.clock, anchors })
  return (der, purpose) => judge.judge(der, [], { role: 'server', purpose })
}

const purposeOf: Readonly<Record<Authentication, Purpose>> = {
  signature: 'serverEdhocSign',
  'static key': 'serverEdhocDh',
}

describe("the server's EDHOC certificates", () => {
  let house: House
  let edhoc: EdhocCredentials

  before(async () => {
    house = await makeHouse()
    edhoc = await house.authority.edhocCredentials()
  })

  after(async () => {
    await house.close()
  })

  it('are made when a door first asks, once for all who ask at once', async () => {
    await withHouse(async (other) => {
      assert.deepEqual(await keyFiles(other), [])
      const asked = await Promise.all([1, 2, 3].map(() => other.authority.edhocCredentials()))
      assert.equal(new Set(asked.map((one) => one.current('signature').fingerprint)).size, 1)
      assert.deepEqual(await keyFiles(other), ['server-edhoc-dh-2.key', 'server-edhoc-sign-1.key'])
    })
  })

  it('are issued by the server CA for a year, from the beginning of the CA', () => {
    const ca = house.authority.cas().find((row) => row.name === 'server')
    assert.ok(ca)
    for (const kind of edhocKinds) {
      const shown = edhoc.current(kind)
      assert.deepEqual(shown.issuer, ca.der)
      assert.equal(shown.fingerprint, createHash('sha256').update(shown.der).digest('hex'))
      const leaf = parseCertificate(shown.der)
      assert.equal(leaf.notBefore, parseCertificate(ca.der).notBefore)
      assert.ok(Math.abs(leaf.notAfter - house.clock.now() - edhocLifetimeMs) < 1001)
      assert.equal(leaf.notAfter, shown.notAfter)
    }
  })

  it('sign as COSE does with the one', async () => {
    const { signer, agree, der } = edhoc.current('signature')
    assert.ok(signer)
    assert.equal(agree, undefined)
    const message = Buffer.from('the MAC of a handshake')
    const signature = await signer.sign(message)
    assert.equal(signature.length, 64)
    const key = createPublicKey({
      key: Buffer.from(parseCertificate(der).spki.der),
      format: 'der',
      type: 'spki',
    })
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
  })

  it('agree with the other, and refuse what is no point of the curve', async () => {
    const { signer, agree, der } = edhoc.current('static key')
    assert.ok(agree)
    assert.equal(signer, undefined)
    const peer = createECDH('prime256v1')
    const share = new Uint8Array(peer.generateKeys())
    const secret = await agree(share)
    const own = parseCertificate(der).spki.keyBytes
    assert.deepEqual(
      Buffer.from(nodeCrypto.exportSecret(secret)),
      peer.computeSecret(Buffer.from(own)),
    )
    const refused: readonly Uint8Array[] = [
      share.with(64, (share[64] ?? 0) ^ 1),
      share.subarray(0, 64),
      new Uint8Array(65),
      new Uint8Array(peer.getPublicKey(undefined, 'compressed')),
      new Uint8Array(peer.getPublicKey(undefined, 'hybrid')),
    ]
    for (const point of refused)
      await assert.rejects(agree(point), { name: 'PeerError', code: 'ERR_KEY_SHARE' })
    // It is as good as before.
    assert.equal((await agree(share)).length, 32)
  })

  it('open a handshake, each with its method, to a device that judges them', async () => {
    const judge = await judgeOf(house)
    for (const [kind, number] of [
      ['signature', 0],
      ['static key', 1],
    ] as const) {
      const method = methods.get(number)
      const suite = suitesOf(nodeCrypto).find((one) => one.number === 2)
      assert.ok(method && suite)
      const device = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const initiator = new Initiator({
        crypto: nodeCrypto,
        method,
        offer: { suitesI: [2], suite },
        cI: Uint8Array.of(0x0e),
        own: {
          kind: 'signature',
          reference: { kid: Uint8Array.of(7) },
          credential: cbor.byteString(Uint8Array.of(1, 2, 3)),
          signer: softwareCoseSigner(device),
        },
      })
      const { message1, next } = initiator.send()
      const responder = new Responder({ crypto: nodeCrypto, methods: [number], suites: [suite] })
      const shown = edhoc.current(kind)
      const named = { reference: { kid: shown.kid }, credential: cbor.byteString(shown.der) }
      const { signer, agree } = shown
      const own: OwnCredential | undefined =
        signer !== undefined
          ? { kind: 'signature', ...named, signer }
          : agree && { kind: 'static key', ...named, key: { agree } }
      assert.ok(own)
      const composing = responder.receive(message1)
      const { message2 } = await composing.send({ own, cR: Uint8Array.of(0x18) })
      const trusted = (by: Authentication): TrustedCredential =>
        trustedCertificate(nodeCrypto, suite, by, judge(shown.der, purposeOf[by]))
      const judging = next.receive(message2)
      assert.deepEqual(judging.reference.kid, shown.kid)
      // Throws unless the server has shown its key.
      const { message3 } = await judging.accept(trusted(kind)).send()
      assert.ok(message3.length > 64)
      const other = kind === 'signature' ? 'static key' : 'signature'
      assert.throws(() => trusted(other), { code: 'ERR_CHAIN_PURPOSE' })
    }
  })

  it('say nothing of their keys when they are printed', () => {
    const text = JSON.stringify(edhocKinds.map((kind) => edhoc.current(kind)))
    assert.doesNotMatch(text, /PRIVATE|"d"|KeyObject/)
  })

  it('are each good for their own method, and neither for TLS, to the judge', async () => {
    const judge = await judgeOf(house)
    const tls = parseCertificate(leafOf((await house.authority.serverCredential()).chainPem)).der
    const shown = {
      serverEdhocSign: edhoc.current('signature').der,
      serverEdhocDh: edhoc.current('static key').der,
      serverAuth: tls,
    } as const
    for (const [own, der] of Object.entries(shown)) {
      for (const purpose of [
        'serverEdhocSign',
        'serverEdhocDh',
        'serverAuth',
        'clientAuth',
      ] as const) {
        if (purpose === own) {
          assert.equal(judge(der, purpose).purpose, purpose)
          continue
        }
        const code: ChainErrorCode = 'ERR_CHAIN_PURPOSE'
        assert.throws(() => judge(der, purpose), { code }, `${own} taken for ${purpose}`)
      }
    }
  })

  it('have kids of one byte that travels as an integer, and no two the same', () => {
    const kids = edhocKinds.map((kind) => edhoc.current(kind).kid)
    for (const kid of kids) {
      assert.equal(kid.length, 1)
      // RFC 9528 §3.3.2: the encodings of 0..23 and -1..-24.
      assert.match(hex(kid), /^(0[0-9a-f]|1[0-7]|2[0-9a-f]|3[0-7])$/)
    }
    assert.equal(new Set(kids.map(hex)).size, 2)
  })

  it('are the same after a restart', async () => {
    await withHouse(async (first) => {
      const made = await first.authority.edhocCredentials()
      const again = await first.reopen()
      const same = await again.authority.edhocCredentials()
      for (const kind of edhocKinds) {
        assert.equal(same.current(kind).fingerprint, made.current(kind).fingerprint)
        assert.deepEqual(same.current(kind).kid, made.current(kind).kid)
      }
      return again
    })
  })
})

describe('possession of a key that only agrees', () => {
  it('is shown by its holder', async () => {
    const key = newKey()
    await requireAgreement({ spki: key.signer.spki, key: softwareStaticKey(key.key) }, nodeCrypto)
  })

  it('is not shown by the holder of another key, nor by nobody', async () => {
    const key = newKey()
    const other = softwareStaticKey(newKey().key)
    await assert.rejects(requireAgreement({ spki: key.signer.spki, key: other }, nodeCrypto), {
      code: 'ERR_POSSESSION',
    })
    await assert.rejects(requireAgreement({ spki: key.signer.spki }, nodeCrypto), {
      code: 'ERR_ISSUE_POSSESSION',
    })
  })

  it('is not shown by an answer that was given before', async () => {
    const key = newKey()
    const agreeing = softwareStaticKey(key.key)
    const old = await agreeing.agree(nodeCrypto.generateEphemeral('secp256r1').share)
    const replaying = { agree: async () => old }
    await assert.rejects(requireAgreement({ spki: key.signer.spki, key: replaying }, nodeCrypto), {
      code: 'ERR_POSSESSION',
    })
  })

  it('is never claimed for a point that is not on the curve', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
    const last = spki.length - 1
    const off = spki.with(last, (spki[last] ?? 0) ^ 1)
    const key = softwareStaticKey(newKey().key)
    await assert.rejects(requireAgreement({ spki: off, key }, nodeCrypto), {
      code: 'ERR_KEY_SHARE',
    })
  })
})

describe('their successors', () => {
  it('appear in time, are told of, and are shown when every context has confirmed them', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      const first = edhoc.current('static key')
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day - 2)
      assert.equal(edhoc.next('static key'), undefined)
      await tomorrow(house, 3)
      const next = edhoc.next('static key')
      assert.ok(next)
      assert.equal(edhoc.current('static key').fingerprint, first.fingerprint)
      assert.notDeepEqual(next.kid, first.kid)
      assert.ok(next.notAfter - house.clock.now() > edhocLifetimeMs - 2 * day)
      assert.equal((await keyFiles(house)).length, 4)
      // Of another that somebody counted.
      assert.equal(await edhoc.promote('static key', first.fingerprint), false)
      assert.equal(await edhoc.promote('signature', next.fingerprint), false)
      assert.equal(edhoc.current('static key').fingerprint, first.fingerprint)
      assert.equal(await edhoc.promote('static key', next.fingerprint), true)
      assert.equal(edhoc.current('static key').fingerprint, next.fingerprint)
      assert.equal(edhoc.next('static key'), undefined)
      assert.equal(await edhoc.promote('static key', next.fingerprint), false)
      // The key of the first is gone; a handshake that was under way still has its handle.
      assert.equal((await keyFiles(house)).length, 3)
      assert.ok(first.agree)
      const share = nodeCrypto.generateEphemeral('secp256r1').share
      assert.equal((await first.agree(share)).length, 32)
      assert.deepEqual(house.logged, [])
      const again = await house.reopen()
      const later = await again.authority.edhocCredentials()
      assert.equal(later.current('static key').fingerprint, next.fingerprint)
      assert.ok(later.next('signature'))
      return again
    })
  })

  it('are shown a month before the end, confirmed or not', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const next = edhoc.next('signature')
      assert.ok(next)
      const { notAfter } = edhoc.current('signature')
      house.clock.time = notAfter - promoteBeforeMs - 2 * day
      await tomorrow(house)
      assert.notEqual(edhoc.current('signature').fingerprint, next.fingerprint)
      await tomorrow(house, 2)
      assert.equal(edhoc.current('signature').fingerprint, next.fingerprint)
    })
  })

  it('made late, after months without a server, are told of before they are shown', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint, notAfter } = first.current('signature')
      house.clock.time = notAfter - 10 * day
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      await again.authority.start(() => undefined)
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      const next = edhoc.next('signature')
      assert.ok(next)
      await tomorrow(again, 8)
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      await tomorrow(again)
      assert.equal(edhoc.current('signature').fingerprint, next.fingerprint)
      return again
    })
  })

  it('are shown at once after a year without a server', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint } = first.current('signature')
      house.clock.time += 400 * day
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      assert.notEqual(edhoc.current('signature').fingerprint, fingerprint)
      assert.ok(edhoc.current('signature').notAfter > house.clock.now())
      assert.equal(edhoc.next('signature'), undefined)
      return again
    })
  })

  it('end with their CA: none is made that would last no longer', async () => {
    await withHouse(async (house) => {
      const ca = house.authority.cas().find((row) => row.name === 'server')
      assert.ok(ca)
      const { notAfter } = parseCertificate(ca.der)
      house.clock.time = notAfter - 100 * day
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      assert.equal(edhoc.current('signature').notAfter, notAfter)
      for (const days of [1, 50, 48]) await tomorrow(house, days)
      assert.equal(edhoc.next('signature'), undefined)
      assert.equal((await keyFiles(house)).length, 2)
      house.clock.time = notAfter + day
      const again = await house.reopen()
      await assert.rejects(again.authority.edhocCredentials(), { code: 'ERR_CA_ENDED' })
      return again
    })
  })

  it('never take the kid of one that is alive, nor soon one that has been used', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      const given = edhocKinds.map((kind) => ({ at: 0, ...shortOf(edhoc.current(kind)) }))
      for (let turn = 1; turn <= 30; turn++) {
        await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
        for (const kind of edhocKinds) {
          const next = edhoc.next(kind)
          assert.ok(next)
          given.push({ at: turn, ...shortOf(next) })
          assert.ok(await edhoc.promote(kind, next.fingerprint))
        }
      }
      for (const [index, { kid, at, from }] of given.entries()) {
        const earlier = given.slice(0, index).findLast((one) => one.kid === kid)
        if (earlier === undefined) continue
        assert.ok(earlier.notAfter < from, `kid ${kid} of one that is alive`)
        // 48 names, two a turn.
        assert.ok(at - earlier.at >= 22, `kid ${kid} after ${at - earlier.at} turns`)
      }
      assert.equal(new Set(given.map(({ kid }) => kid)).size, 48)
      const setting = await house.store.get('setting', 'authority.edhoc')
      assert.equal(JSON.parse(setting?.value ?? '{}').entries.length, 48)

      function shortOf({ kid, notAfter }: EdhocServerCredential): {
        kid: string
        notAfter: number
        from: number
      } {
        return { kid: hex(kid), notAfter, from: house.clock.now() }
      }
    })
  })
})

describe('what goes wrong', () => {
  it('a crash after the key or after the certificate leaves the old ones in use, and no key', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint } = first.current('signature')
      // The key of what would have been the third.
      await house.vault.createKey('server-edhoc-sign-3.key', 'P-256')
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      house.clock.time += edhocLifetimeMs - nextBeforeMs + day
      const later = await again.reopen()
      const renewed = await later.authority.edhocCredentials()
      const next = renewed.next('signature')
      assert.ok(next?.signer)
      // The third is made now, and its key is the one that its certificate names.
      assert.equal((await keyFiles(later)).length, 4)
      assert.deepEqual(
        Buffer.from(next.signer.spki),
        Buffer.from(parseCertificate(next.der).spki.der),
      )
      return later
    })
  })

  it('a crash after a promotion leaves the key that is past, and the next start removes it', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      const [sign] = (await keyFiles(house)).filter((file) => file.includes('-sign-'))
      assert.ok(sign)
      const serial = hex(parseCertificate(edhoc.current('signature').der).serial)
      await house.authority.start(() => undefined)
      await house.registry.revokeCertificate(serial, 'superseded')
      await tomorrow(house)
      assert.ok(!(await keyFiles(house)).includes(sign))
      await house.vault.createKey(sign, 'P-256')
      const again = await house.reopen()
      await again.authority.edhocCredentials()
      assert.ok(!(await keyFiles(again)).includes(sign))
      return again
    })
  })

  it('a lost key means a new certificate; the other one stays', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      await house.vault.removeKey('server-edhoc-dh-2.key')
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      const same = (kind: Authentication): boolean =>
        edhoc.current(kind).fingerprint === first.current(kind).fingerprint
      assert.deepEqual([same('signature'), same('static key')], [true, false])
      assert.notDeepEqual(edhoc.current('static key').kid, first.current('static key').kid)
      return again
    })
  })

  it('a damaged key file is told of, and nothing is made in its place', async () => {
    await withHouse(async (house) => {
      await house.authority.edhocCredentials()
      await writeFile(join(house.directory, 'keys', 'server-edhoc-dh-2.key'), 'garbage')
      const again = await house.reopen()
      await assert.rejects(again.authority.edhocCredentials(), { code: 'ERR_VAULT_CORRUPT' })
      return again
    })
  })

  it('one that is revoked is not shown any more, and its successor not either when that is', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const first = edhoc.current('static key')
      const next = edhoc.next('static key')
      assert.ok(next)
      await revoke(house, next)
      assert.equal(await edhoc.promote('static key', next.fingerprint), false)
      await tomorrow(house)
      const other = edhoc.next('static key')
      assert.ok(other)
      assert.notEqual(other.fingerprint, next.fingerprint)
      await revoke(house, first)
      await tomorrow(house)
      // The successor takes over: devices have been told of it.
      assert.equal(edhoc.current('static key').fingerprint, other.fingerprint)
      await revoke(house, other)
      await tomorrow(house)
      const last = edhoc.current('static key')
      assert.ok(![first, next, other].some((one) => one.fingerprint === last.fingerprint))
      assert.deepEqual(house.logged, [])
    })
  })

  it('a rollover of the server CA makes new ones, as long as no device has pinned it', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      const old = edhocKinds.map((kind) => edhoc.current(kind))
      const made = await house.authority.rollover({ role: 'server', rootPassphrase: passphrase })
      const judge = await judgeOf(house)
      for (const [index, kind] of edhocKinds.entries()) {
        const { der, issuer, fingerprint, kid } = edhoc.current(kind)
        assert.notEqual(fingerprint, old[index]?.fingerprint)
        assert.notDeepEqual(kid, old[index]?.kid)
        assert.deepEqual(issuer, made.der)
        const pinned = createHash('sha256').update(parseCertificate(issuer).spki.der).digest('hex')
        assert.equal(pinned, house.authority.serverAnchor())
        assert.equal(judge(der, purposeOf[kind]).anchor.certificate.der.length, made.der.length)
        assert.equal(edhoc.next(kind), undefined)
      }
      await enrol(house, await requestFor('PIN-1', newKey().signer))
      await assert.rejects(
        house.authority.rollover({ role: 'server', rootPassphrase: passphrase }),
        { code: 'ERR_ROLLOVER_PINNED' },
      )
    })
  })

  it('a restored backup shows what it knew, and tells of the successor again', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const old = edhocKinds.map((kind) => shownOf(edhoc, kind))
      const [database, keys] = [join(house.directory, 'store.db'), join(house.directory, 'keys')]
      await house.store.backup(join(house.directory, 'copy.db'))
      await cp(keys, join(house.directory, 'copy'), { recursive: true })
      for (const kind of edhocKinds) {
        const { fingerprint } = edhoc.next(kind) ?? edhoc.current(kind)
        assert.ok(await edhoc.promote(kind, fingerprint))
      }
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const forgotten = edhocKinds.map((kind) => edhoc.next(kind))
      const restored = await house.reopen({}, async () => {
        house.clock.time -= (edhocLifetimeMs - nextBeforeMs) / 2
        for (const path of [database, `${database}-wal`, `${database}-shm`, keys])
          await rm(path, { recursive: true, force: true })
        await cp(join(house.directory, 'copy.db'), database)
        await cp(join(house.directory, 'copy'), keys, { recursive: true })
      })
      const again = await restored.authority.edhocCredentials()
      assert.deepEqual(
        edhocKinds.map((kind) => shownOf(again, kind)),
        old,
      )
      // Its keys are there: what is told of can be shown.
      const next = again.next('static key')
      assert.ok(next?.agree)
      const share = nodeCrypto.generateEphemeral('secp256r1').share
      assert.equal((await next.agree(share)).length, 32)
      assert.ok(await again.promote('static key', next.fingerprint))
      // What the other life made is unknown here.
      for (const one of forgotten) {
        assert.ok(one)
        const serial = hex(parseCertificate(one.der).serial)
        assert.equal(await restored.store.get('certificate', serial), undefined)
      }
      return restored
    })
  })

  it('one that was never asked for is not made by renewals', async () => {
    await withHouse(async (house) => {
      await house.authority.start(() => undefined)
      house.clock.time += day
      house.timers.fire()
      await house.authority.close()
      assert.deepEqual(await keyFiles(house), [])
      assert.deepEqual(await edhocInUse(house.store), [])
    })
  })

  it('the key of one is of nobody else: no request gets a certificate for it', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      const key = await house.vault.openKey('server-edhoc-dh-2.key')
      const csr = await requestFor('STOLEN', softwareSigner(key))
      const answer = await ask(house, 'simpleenroll', { token: await invite(house), csr })
      assert.match(refusal(answer), /ERR_KEY_USED/)
      assert.ok(edhoc.current('static key'))
    })
  })
})

function shownOf(edhoc: EdhocCredentials, kind: Authentication): readonly (string | undefined)[] {
  return [edhoc.current(kind).fingerprint, edhoc.next(kind)?.fingerprint]
}

async function revoke(house: House, { der }: EdhocServerCredential): Promise<void> {
  const serial = hex(parseCertificate(der).serial)
  await house.registry.revokeCertificate(serial, 'keyCompromise')
}

function leafOf(chainPem: string): Uint8Array {
  const [leaf] = chainPem.split('-----END CERTIFICATE-----')
  return Buffer.from((leaf ?? '').replaceAll(/-----.*?-----|\s/g, ''), 'base64')
}
