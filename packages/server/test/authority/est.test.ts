/**
 * Enrolment over EST (RFC 7030, RFC 8951): what it answers, whom it lets in, and that a lost answer
 * costs nothing.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fromHex, pem } from '@countersign/core/codec'
import {
  euiFromCertificate,
  type GeneralName,
  macAddressName,
  parseCertsOnly,
  serialNumberOf,
} from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { ask, basic, bodyOf, enrol, enrolled, invite, refusal } from './estClient.ts'
import { missing, openssl } from './foreign.ts'
import { day, type House, hour, makeHouse, newKey, requestFor, verified } from './house.ts'

let house: House
let folder: string
let count = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'est-'))
  house = await makeHouse()
})

after(async () => {
  assert.deepEqual(house.logged, [])
  await house.close()
  await rm(folder, { recursive: true, force: true })
})

function newSerial(): string {
  return `EST-${++count}`
}

async function ownEui(): Promise<string> {
  const product = await house.registry.product('default')
  // From the end of the block: the authority gives addresses from its beginning.
  return (BigInt(`0x${product.euiLast}`) - BigInt(++count)).toString(16).padStart(16, '0')
}

describe('cacerts', () => {
  it('carries the issuing CAs of server and owner and the root, as OpenSSL reads it', {
    skip: missing('openssl'),
  }, async () => {
    const answer = await ask(house, 'cacerts')
    assert.equal(answer.headers['content-type'], 'application/pkcs7-mime')
    const text = join(folder, 'cacerts.b64')
    const file = join(folder, 'cacerts.p7')
    await writeFile(text, answer.body)
    // As a script would: `openssl base64 -d` wants lines.
    assert.equal((await openssl('base64', '-d', '-in', text, '-out', file)).code, 0)
    const read = await openssl('pkcs7', '-inform', 'DER', '-in', file, '-print_certs', '-noout')
    assert.equal(read.code, 0, read.text)
    assert.match(read.text, /countersign server CA/)
    assert.match(read.text, /countersign owner CA/)
    assert.match(read.text, /countersign root/)
    assert.equal(read.text.match(/subject=/g)?.length, 3)
    const wanted = house.authority
      .cas()
      .filter(({ role }) => ['root', 'server', 'owner'].includes(role))
    const got = parseCertsOnly(await readFile(file)).map((der) => Buffer.from(der).toString('hex'))
    assert.deepEqual(
      new Set(got),
      new Set(wanted.map(({ der }) => Buffer.from(der).toString('hex'))),
    )
  })
})

describe('csrattrs', () => {
  it('asks for P-256, ecdsa-with-SHA256 and a serialNumber (RFC 7030 §4.5.2)', {
    skip: missing('openssl'),
  }, async () => {
    const answer = await ask(house, 'csrattrs')
    assert.equal(answer.headers['content-type'], 'application/csrattrs')
    const file = join(folder, 'csrattrs.der')
    await writeFile(file, bodyOf(answer))
    const { text } = await openssl('asn1parse', '-inform', 'DER', '-in', file)
    const words = text.split('\n').map((line) => /prim: OBJECT +:(.*)$/.exec(line)?.[1])
    assert.deepEqual(words.filter(Boolean), [
      'id-ecPublicKey',
      'prime256v1',
      'ecdsa-with-SHA256',
      'serialNumber',
    ])
  })
})

describe('simpleenroll by a token', () => {
  it('gives a device its certificate: serial as asked, EUI-64 from the block', async () => {
    const serial = newSerial()
    const { signer } = newKey()
    const certificate = await enrol(house, await requestFor(serial, signer))
    assert.equal(serialNumberOf(certificate.subject), serial)
    assert.deepEqual(Buffer.from(certificate.spki.der), Buffer.from(signer.spki))
    const device = await house.registry.find(serial)
    assert.equal(euiFromCertificate(certificate), device.eui64)
    assert.equal(device.id, `urn:dev:mac:${device.eui64}`)
    assert.equal(device.state, 'enrolled')
    const { validityDays } = await house.registry.product('default')
    const now = house.clock.now()
    assert.ok(Math.abs(certificate.notAfter - now - validityDays * day) < 1001)
    assert.ok(certificate.notBefore < now && certificate.notBefore > now - hour)
    // 16 random octets, positive.
    assert.equal(certificate.serial.length, 16)
    assert.ok((certificate.serial[0] ?? 0xff) < 0x80)
  })

  it('takes a key of Ed25519', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const certificate = await enrol(
      house,
      await requestFor(newSerial(), softwareSigner(privateKey)),
    )
    assert.deepEqual(certificate.spki.algorithm, { kind: 'ed25519' })
    await verified(house, certificate.der, 'owner')
  })

  it('takes the EUI-64 that a request names, as MACAddress or as URI', async () => {
    const [one, two] = [await ownEui(), await ownEui()]
    const names: readonly GeneralName[][] = [
      [macAddressName(fromHex(one))],
      [{ kind: 'uri', value: `urn:dev:mac:${two}` }],
    ]
    for (const [index, altNames] of names.entries()) {
      const csr = await requestFor(newSerial(), newKey().signer, altNames)
      assert.equal(euiFromCertificate(await enrol(house, csr)), [one, two][index])
    }
  })

  it('takes the request that OpenSSL makes, with line breaks, and other attributes in the subject', {
    skip: missing('openssl'),
  }, async () => {
    const key = join(folder, 'device.key')
    const csr = join(folder, 'device.csr')
    const eui = await ownEui()
    const serial = newSerial()
    const made = await openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      key,
      '-subj',
      `/O=acme/CN=thermometer/serialNumber=${serial}`,
      '-addext',
      `subjectAltName=URI:urn:dev:mac:${eui}`,
      '-outform',
      'DER',
      '-out',
      csr,
    )
    assert.equal(made.code, 0, made.text)
    const lines = await openssl('base64', '-in', csr)
    const answer = await ask(house, 'simpleenroll', {
      token: await invite(house),
      contentType: 'application/pkcs10; charset=us-ascii',
      body: Buffer.from(lines.text.replaceAll('\n', '\r\n ')),
    })
    const certificate = enrolled(answer)
    assert.match(answer.headers['content-type'] ?? '', /smime-type=certs-only/)
    // What the authority does not know it does not certify: only the serialNumber is in the
    // subject.
    assert.deepEqual(
      certificate.subject.rdns.flat().map((one) => [one.type, one.text]),
      [['2.5.4.5', serial]],
    )
    const leaf = join(folder, 'device.pem')
    await writeFile(leaf, pem('CERTIFICATE', certificate.der))
    const [ofKey, ofLeaf] = await Promise.all([
      openssl('pkey', '-in', key, '-pubout'),
      openssl('x509', '-in', leaf, '-noout', '-pubkey'),
    ])
    assert.equal(ofKey.text, ofLeaf.text)
  })

  it('answers a lost answer again with the same certificate, also after the count is used up', async () => {
    const token = await invite(house)
    const csr = await requestFor(newSerial(), newKey().signer)
    const first = enrolled(await ask(house, 'simpleenroll', { token, csr }))
    const again = enrolled(await ask(house, 'simpleenroll', { token, csr }))
    assert.deepEqual(again.der, first.der)
  })

  it('answers it also after a restart, and a retry that overtakes its original', async () => {
    let other = await makeHouse()
    try {
      const token = await invite(other)
      const csr = await requestFor('R-1', newKey().signer)
      const answers = await Promise.all(
        [1, 2, 3].map(() => ask(other, 'simpleenroll', { token, csr })),
      )
      const ders = answers.map((answer) => Buffer.from(enrolled(answer).der).toString('hex'))
      other = await other.reopen()
      const later = enrolled(await ask(other, 'simpleenroll', { token, csr }))
      ders.push(Buffer.from(later.der).toString('hex'))
      assert.equal(new Set(ders).size, 1)
    } finally {
      await other.close()
    }
  })

  it('finishes after a crash between reservation and signature what was begun', async () => {
    const token = await invite(house)
    const row = await house.registry.checkToken(token)
    const serial = newSerial()
    const { signer } = newKey()
    // What the authority had written when the power went.
    const reserved = await house.registry.reserve({
      profile: 'ldevid',
      ca: 'owner',
      spki: signer.spki,
      notBefore: house.clock.now(),
      notAfter: house.clock.now() + hour,
      request: `token:${row.id}`,
      actor: `token:${row.id}`,
      target: {
        kind: 'newDevice',
        product: 'default',
        serial,
        eui64: undefined,
        origin: 'software',
        assurance: 0,
        tokenHash: row.hash,
      },
    })
    const csr = await requestFor(serial, signer)
    const certificate = enrolled(await ask(house, 'simpleenroll', { token, csr }))
    assert.equal(Buffer.from(certificate.serial).toString('hex'), reserved.serial)
    assert.equal(euiFromCertificate(certificate), reserved.device?.eui64)
    assert.equal((await house.registry.checkToken(token)).used, 1)
  })

  it('gives exactly as many certificates as the token has, to 50 who ask at once', async () => {
    const token = await invite(house, { count: 7 })
    const requests = await Promise.all(
      Array.from({ length: 50 }, () => requestFor(newSerial(), newKey().signer)),
    )
    const answers = await Promise.all(
      requests.map((csr) => ask(house, 'simpleenroll', { token, csr })),
    )
    const good = answers.filter((answer) => answer.status === 200)
    assert.equal(good.length, 7)
    assert.equal(new Set(good.map((answer) => euiFromCertificate(enrolled(answer)))).size, 7)
    const bad = answers.filter((answer) => answer.status !== 200).map(refusal)
    assert.deepEqual(new Set(bad), new Set(['403 ERR_TOKEN_SPENT']))
  })

  it('refuses another key, another product, another serial, an expired and an unknown token', async () => {
    await house.registry.addProduct('meter', { serialPattern: 'M-*' })
    const spent = await invite(house)
    const serial = newSerial()
    enrolled(
      await ask(house, 'simpleenroll', {
        token: spent,
        csr: await requestFor(serial, newKey().signer),
      }),
    )
    const code = async (token: string, name: string): Promise<string> =>
      refusal(
        await ask(house, 'simpleenroll', { token, csr: await requestFor(name, newKey().signer) }),
      )
    assert.equal(await code(spent, newSerial()), '403 ERR_TOKEN_SPENT')
    assert.equal(await code(await invite(house), serial), '409 ERR_SERIAL_USED')
    assert.equal(
      await code(await invite(house, { product: 'meter' }), newSerial()),
      '403 ERR_SERIAL_PATTERN',
    )
    assert.equal(
      await code(await invite(house, { serial: 'ONE' }), newSerial()),
      '403 ERR_TOKEN_SERIAL',
    )
    assert.equal(await code('x'.repeat(32), newSerial()), '401 ERR_TOKEN_UNKNOWN')
    const late = await invite(house)
    house.clock.time += hour
    assert.equal(await code(late, newSerial()), '403 ERR_TOKEN_EXPIRED')
  })

  it("refuses another device's EUI-64, one outside the block, and another device's key", async () => {
    const { signer } = newKey()
    const first = await enrol(house, await requestFor(newSerial(), signer))
    const taken = euiFromCertificate(first)
    assert.ok(taken)
    const code = async (csr: Uint8Array): Promise<string> =>
      refusal(await ask(house, 'simpleenroll', { token: await invite(house), csr }))
    const named = (eui: string): Promise<Uint8Array> =>
      requestFor(newSerial(), newKey().signer, [macAddressName(fromHex(eui))])
    assert.equal(await code(await named(taken)), '409 ERR_EUI64_USED')
    assert.equal(await code(await named('0200000000000001')), '403 ERR_EUI64_OUTSIDE_BLOCK')
    assert.equal(await code(await named('ffffffffffffffff')), '400 ERR_EUI64_INVALID')
    assert.equal(await code(await requestFor(newSerial(), signer)), '409 ERR_KEY_USED')
  })

  it('asks for the token when none is given, and says so in the header', async () => {
    const csr = await requestFor(newSerial(), newKey().signer)
    for (const authorization of [undefined, 'Bearer abc', 'Basic !!!', basic('x', 'admin')]) {
      const answer = await ask(house, 'simpleenroll', { csr, authorization })
      assert.equal(refusal(answer), '401 ERR_EST_AUTHENTICATION')
      assert.match(answer.headers['www-authenticate'] ?? '', /^Basic realm=/)
    }
  })

  it('tells the operator the reason in the audit log', async () => {
    const answer = await ask(house, 'simpleenroll', {
      token: 'y'.repeat(32),
      csr: await requestFor(newSerial(), newKey().signer),
    })
    assert.equal(refusal(answer), '401 ERR_TOKEN_UNKNOWN')
    await house.registry.settled()
    const { seq } = await house.store.eventHead()
    const events = await house.store.scan('event', { after: Math.max(0, seq - 20), limit: 20 })
    assert.ok(events.some((event) => event.data.includes('ERR_TOKEN_UNKNOWN')))
  })

  it('says for good that the addresses of a product are used up, and of which', async () => {
    const eui64 = '0200000000000001'
    await house.registry.addProduct('one', { euiFirst: eui64, euiLast: eui64 })
    const asked = async (): ReturnType<typeof ask> => {
      const token = await invite(house, { product: 'one' })
      return await ask(house, 'simpleenroll', {
        token,
        csr: await requestFor(newSerial(), newKey().signer),
      })
    }
    assert.equal((await asked()).status, 200)
    const answer = await asked()
    assert.equal(refusal(answer), '403 ERR_EUI64_EXHAUSTED')
    assert.match(String(answer.body), /product one is used up/)
    assert.equal(answer.headers['retry-after'], undefined)
  })
})

const requestLabel = 'CERTIFICATE REQUEST'

function pemOf(label: string, base64: string): Buffer {
  const lines = base64.match(/.{1,64}/g) ?? []
  return Buffer.from(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`)
}

describe('a body', () => {
  for (const label of [requestLabel, `NEW ${requestLabel}`]) {
    it(`that is PEM, ${label}, is taken as what openssl wrote`, async () => {
      const csr = await requestFor(newSerial(), newKey().signer)
      const answer = await ask(house, 'simpleenroll', {
        token: await invite(house),
        contentType: 'application/pkcs10',
        body: pemOf(label, Buffer.from(csr).toString('base64')),
      })
      assert.equal(answer.status, 200)
    })
  }

  const bodies: readonly (readonly [string, Uint8Array, string])[] = [
    ['empty', new Uint8Array(0), '400 ERR_EST_BODY'],
    ['a cut PEM', Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n'), '400 ERR_EST_BODY'],
    ['PEM of something else', pemOf('CERTIFICATE', 'MIIB'), '400 ERR_EST_BODY'],
    [
      'two PEM blocks',
      Buffer.concat([pemOf(requestLabel, 'MIIB'), pemOf(requestLabel, 'MIIB')]),
      '400 ERR_EST_BODY',
    ],
    ['PEM of no request', pemOf(requestLabel, 'aGVsbG8='), '400 ERR_CSR_MALFORMED'],
    ['bare DER', fromHex('3082010030820100'), '400 ERR_EST_BODY'],
    ['no Base64', Buffer.from('hello, world!'), '400 ERR_EST_BODY'],
    ['Base64 of something else', Buffer.from('aGVsbG8='), '400 ERR_CSR_MALFORMED'],
    ['larger than any request', Buffer.alloc(100_000, 0x41), '413 ERR_EST_BODY_SIZE'],
  ]
  for (const [what, body, code] of bodies) {
    it(`that is ${what} is refused`, async () => {
      const answer = await ask(house, 'simpleenroll', {
        token: await invite(house),
        contentType: 'application/pkcs10',
        body,
      })
      assert.equal(refusal(answer), code)
    })
  }

  it('of another type, a wrong method and an unknown operation are refused', async () => {
    const csr = await requestFor(newSerial(), newKey().signer)
    const token = await invite(house)
    const type = 'application/x-www-form-urlencoded'
    assert.equal(
      refusal(await ask(house, 'simpleenroll', { token, csr, contentType: type })),
      '415 ERR_EST_MEDIA_TYPE',
    )
    const wrong = await ask(house, 'simpleenroll', { token, csr, method: 'GET' })
    assert.equal(refusal(wrong), '405 ERR_EST_METHOD')
    assert.equal(wrong.headers['allow'], 'POST')
    assert.equal(refusal(await ask(house, 'fullcmc', {})), '404 ERR_EST_OPERATION')
    assert.equal(refusal(await ask(house, 'toString', {})), '404 ERR_EST_OPERATION')
  })
})

describe('simplereenroll', () => {
  it('renews with the same key and with a new one, in a new certificate of the same names', async () => {
    const serial = newSerial()
    const { signer } = newKey()
    const first = await enrol(house, await requestFor(serial, signer))
    house.clock.time += day
    const peer = await verified(house, first.der, 'owner')
    const same = enrolled(
      await ask(house, 'simplereenroll', { peer, csr: await requestFor(serial, signer) }),
    )
    const eui = euiFromCertificate(first)
    assert.ok(eui)
    const csr = await requestFor(serial, newKey().signer, [macAddressName(fromHex(eui))])
    const fresh = enrolled(await ask(house, 'simplereenroll', { peer, csr }))
    for (const one of [same, fresh]) {
      assert.deepEqual(one.subject.der, first.subject.der)
      assert.equal(euiFromCertificate(one), eui)
      assert.ok(one.notAfter > first.notAfter)
      assert.notDeepEqual(one.serial, first.serial)
    }
    assert.deepEqual(Buffer.from(same.spki.der), Buffer.from(first.spki.der))
    // A lost answer.
    const again = enrolled(await ask(house, 'simplereenroll', { peer, csr }))
    assert.deepEqual(again.der, fresh.der)
  })

  it('refuses another serial, another EUI-64, no certificate and one of a maker', async () => {
    const serial = newSerial()
    const first = await enrol(house, await requestFor(serial, newKey().signer))
    const peer = await verified(house, first.der, 'owner')
    const other = await requestFor(newSerial(), newKey().signer)
    assert.equal(
      refusal(await ask(house, 'simplereenroll', { peer, csr: other })),
      '400 ERR_EST_SUBJECT',
    )
    const stranger = await requestFor(serial, newKey().signer, [
      macAddressName(fromHex(await ownEui())),
    ])
    assert.equal(
      refusal(await ask(house, 'simplereenroll', { peer, csr: stranger })),
      '400 ERR_EST_SUBJECT',
    )
    const csr = await requestFor(serial, newKey().signer)
    assert.equal(refusal(await ask(house, 'simplereenroll', { csr })), '403 ERR_EST_CERTIFICATE')
    // A token renews nothing.
    const token = await invite(house)
    assert.equal(
      refusal(await ask(house, 'simplereenroll', { csr, token })),
      '403 ERR_EST_CERTIFICATE',
    )
    assert.equal(
      refusal(await ask(house, 'simpleenroll', { csr, peer })),
      '403 ERR_EST_CERTIFICATE',
    )
  })

  it('refuses a suspended and a revoked device, and a revoked certificate', async () => {
    const serial = newSerial()
    const first = await enrol(house, await requestFor(serial, newKey().signer))
    const peer = await verified(house, first.der, 'owner')
    const device = await house.registry.find(serial)
    const renewal = async (): Promise<string> => {
      const csr = await requestFor(serial, newKey().signer)
      const answer = await ask(house, 'simplereenroll', { peer, csr })
      return answer.status === 200 ? 'renewed' : refusal(answer)
    }
    await house.registry.suspend(device.id, 'lost')
    assert.equal(await renewal(), '403 ERR_DEVICE_SUSPENDED')
    await house.registry.resume(device.id)
    assert.equal(await renewal(), 'renewed')
    await house.registry.revokeCertificate(Buffer.from(first.serial).toString('hex'), 'superseded')
    assert.equal(await renewal(), '403 ERR_CERT_REVOKED')
    await house.registry.revoke(device.id, 'keyCompromise')
    assert.equal(await renewal(), '403 ERR_CERT_REVOKED')
  })

  it('does not let a device in a loop fill the registry, but welcomes it in its window', async () => {
    const serial = newSerial()
    const first = await enrol(house, await requestFor(serial, newKey().signer))
    const peer = await verified(house, first.der, 'owner')
    const renew = async (): Promise<number> => {
      const csr = await requestFor(serial, newKey().signer)
      return (await ask(house, 'simplereenroll', { peer, csr })).status
    }
    const statuses: number[] = []
    for (let round = 0; round < 8; round++) statuses.push(await renew())
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 429, 429])
    house.clock.time += 65 * day
    assert.equal(await renew(), 200)
  })
})

describe("simpleenroll by a maker's certificate", () => {
  it('gives the device of an IDevID its LDevID, once and again', async () => {
    const serial = newSerial()
    const { der } = await house.authority.issueIdevid({
      csr: await requestFor(serial, newKey().signer),
      product: 'default',
      origin: 'element',
      assurance: 1,
      actor: 'station-1',
    })
    const peer = await verified(house, der, 'maker')
    const csr = await requestFor(serial, newKey().signer)
    const first = enrolled(await ask(house, 'simpleenroll', { peer, csr }))
    const again = enrolled(await ask(house, 'simpleenroll', { peer, csr }))
    assert.deepEqual(again.der, first.der)
    assert.equal(euiFromCertificate(first), euiFromCertificate(peer.leaf))
    assert.equal((await house.registry.find(serial)).state, 'enrolled')
    const other = await requestFor(newSerial(), newKey().signer)
    assert.equal(
      refusal(await ask(house, 'simpleenroll', { peer, csr: other })),
      '400 ERR_EST_SUBJECT',
    )
    assert.equal(
      refusal(await ask(house, 'simplereenroll', { peer, csr })),
      '403 ERR_EST_CERTIFICATE',
    )
  })

  it('of a foreign maker is taken within the scope of its anchor', async () => {
    const maker = await makeHouse()
    try {
      const root = maker.authority.cas().find((row) => row.name === 'maker')
      assert.ok(root)
      await house.registry.addAnchor({ der: root.der, product: 'default', serialPattern: 'F-*' })
      const issue = async (serial: string): Promise<Uint8Array> => {
        const csr = await requestFor(serial, newKey().signer)
        const order = {
          csr,
          product: 'default',
          origin: 'element',
          assurance: 1,
          actor: 'x',
        } as const
        return (await maker.authority.issueIdevid(order)).der
      }
      const peer = await verified(house, await issue('F-1'), 'maker')
      const csr = await requestFor('F-1', newKey().signer)
      const first = enrolled(await ask(house, 'simpleenroll', { peer, csr }))
      assert.deepEqual(enrolled(await ask(house, 'simpleenroll', { peer, csr })).der, first.der)
      assert.equal(euiFromCertificate(first), euiFromCertificate(peer.leaf))
      assert.equal((await house.registry.find('F-1')).assurance, 0)
      await assert.rejects(verified(house, await issue('G-1'), 'maker'), {
        code: 'ERR_CHAIN_SCOPE',
      })
      // Another certificate with the same serial number is another device's claim.
      const twin = await makeHouse()
      await house.registry.addAnchor({
        der: twin.authority.cas().find((row) => row.name === 'maker')?.der ?? new Uint8Array(0),
      })
      const order = { product: 'default', origin: 'element', assurance: 1, actor: 'x' } as const
      const forged = await twin.authority.issueIdevid({
        ...order,
        csr: await requestFor('F-1', newKey().signer),
      })
      const thief = await verified(house, forged.der, 'maker')
      const theft = await requestFor('F-1', newKey().signer)
      const answer = await ask(house, 'simpleenroll', { peer: thief, csr: theft })
      assert.equal(refusal(answer), '409 ERR_SERIAL_USED')
      await twin.close()
    } finally {
      await maker.close()
    }
  })
})

describe('a fault of ours', () => {
  it('is told as a fault and nothing more, and logged for the operator', async () => {
    const other = await makeHouse()
    const token = await invite(other)
    const csr = await requestFor('Z-1', newKey().signer)
    await other.authority.close()
    await other.registry.settled()
    await other.store.close()
    const answer = await ask(other, 'simpleenroll', { token, csr })
    assert.ok(answer.status === 500 || answer.status === 503)
    assert.doesNotMatch(String(answer.body), /detail|store\.db/)
    assert.ok(other.logged.length > 0)
    await rm(other.directory, { recursive: true, force: true })
  })
})
