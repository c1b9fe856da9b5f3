/**
 * Every profile and its CRL before judges that nobody here wrote: OpenSSL with -x509_strict and
 * -crl_check, GnuTLS' certtool, and pkijs as a second parser.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fromHex, pem } from '@countersign/core/codec'
import { macAddressName } from '@countersign/core/credential'
import * as pkijs from 'pkijs'
import type { EdhocServerCredential } from '../../src/ports.ts'
import { certtool, missing, openssl } from './foreign.ts'
import { type House, makeHouse, newKey, requestFor } from './house.ts'

let house: House
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'profiles-'))
  house = await makeHouse({ crlBase: 'http://crl.example.com/crl' })
})

after(async () => {
  await house.close()
  await rm(folder, { recursive: true, force: true })
})

interface Leaf {
  readonly der: Uint8Array
  readonly ca: string
  /** What `openssl x509 -text` must show. */
  readonly shows: readonly RegExp[]
  /** What it must not show. */
  readonly hides: readonly RegExp[]
  /** For `openssl verify -purpose`; undefined: none. */
  readonly purpose?: string
  /** Devices keep it and fetch nothing: it does not say where the CRL is. */
  readonly isSilent?: boolean
}

async function request(name: string): Promise<Uint8Array> {
  return requestFor('X1', newKey().signer, [], [{ type: '2.5.4.3', value: name }])
}

let count = 0

const profiles: Readonly<Record<string, () => Promise<Leaf>>> = {
  idevid: async () => {
    const eui = `0242ac11000000${(++count).toString(16).padStart(2, '0')}`
    const csr = await requestFor(`SN-${count}`, newKey().signer, [macAddressName(fromHex(eui))])
    const { der } = await house.authority.issueIdevid({
      csr,
      product: 'default',
      origin: 'element',
      assurance: 1,
      actor: 'station-1',
      hardwareModuleType: '1.3.6.1.4.1.99999.1',
    })
    return {
      der,
      ca: 'maker',
      shows: [
        /Not After : Dec 31 23:59:59 9999 GMT/,
        /Subject: serialNumber ?= ?SN-\d+$/m,
        /Key Usage: critical\s+Digital Signature$/m,
        /Authority Key Identifier/,
      ],
      hides: [/Extended Key Usage/, /Subject Key Identifier/, /CA:TRUE/],
    }
  },
  ldevid: async () => {
    const { signer } = newKey()
    const expiresAt = house.clock.now() + 3_600_000
    const { token } = await house.registry.invite({ product: 'default', count: 1, expiresAt })
    const answer = await house.authority.est({
      method: 'POST',
      operation: 'simpleenroll',
      contentType: 'application/pkcs10',
      body: Buffer.from(Buffer.from(await requestFor(`LD-${++count}`, signer)).toString('base64')),
      authorization: `Basic ${Buffer.from(`token:${token}`).toString('base64')}`,
      peer: undefined,
      peerAddress: '192.0.2.1',
    })
    assert.equal(answer.status, 200, String(answer.body))
    const [device] = await house.registry
      .list({ limit: 100 })
      .then((rows) => rows.filter((row) => row.serial === `LD-${count}`))
    assert.ok(device)
    const [row] = await house.registry.certificatesOf(device.id)
    assert.ok(row?.der)
    return {
      der: row.der,
      ca: 'owner',
      purpose: 'sslclient',
      shows: [/TLS Web Client Authentication/, /Key Usage: critical\s+Digital Signature$/m],
      hides: [/TLS Web Server/, /Subject Key Identifier/, /CA:TRUE/, /9999 GMT/],
    }
  },
  server: async () => {
    const { der } = await house.authority.issueByOperator({
      profile: 'server',
      csr: await request('s1'),
      hosts: ['Server.example.com', '192.0.2.7', '2001:db8::1:0:0:7'],
    })
    return {
      der,
      ca: 'server',
      purpose: 'sslserver',
      shows: [
        /TLS Web Server Authentication$/m,
        /DNS:server\.example\.com, IP Address:192\.0\.2\.7, IP Address:2001:DB8:0:0:1:0:0:7/,
      ],
      hides: [/TLS Web Client/, /CA:TRUE/],
    }
  },
  operator: async () => {
    const { der } = await house.authority.issueByOperator({
      profile: 'operator',
      csr: await request('alice'),
      hosts: [],
      days: 30,
    })
    return {
      der,
      ca: 'operator',
      purpose: 'sslclient',
      shows: [/2\.25\.70566220933101651007110555231231935521\.1/, /Subject: CN ?= ?alice/],
      hides: [/TLS Web Server/, /CA:TRUE/],
    }
  },
  'server-edhoc-sign': async () => ({
    der: (await anotherEdhoc('signature')).der,
    ca: 'server',
    isSilent: true,
    shows: [
      /2\.25\.70566220933101651007110555231231935521\.5$/m,
      /Key Usage: critical\s+Digital Signature$/m,
      /Public-Key: \(256 bit\)/,
      /Subject: CN ?= ?countersign server/,
    ],
    hides: edhocHides,
  }),
  'server-edhoc-dh': async () => ({
    der: (await anotherEdhoc('static key')).der,
    ca: 'server',
    isSilent: true,
    shows: [
      /2\.25\.70566220933101651007110555231231935521\.6$/m,
      /Key Usage: critical\s+Key Agreement$/m,
      /Public-Key: \(256 bit\)/,
    ],
    hides: [...edhocHides, /Digital Signature/],
  }),
  application: async () => {
    const { der } = await house.authority.issueByOperator({
      profile: 'application',
      csr: await request('dashboard'),
      hosts: [],
    })
    return {
      der,
      ca: 'operator',
      purpose: 'sslclient',
      shows: [/2\.25\.70566220933101651007110555231231935521\.2/],
      hides: [/TLS Web Server/, /CA:TRUE/],
    }
  },
}

const edhocHides = [
  /TLS Web/,
  /Subject Alternative Name/,
  /Subject Key Identifier/,
  /CA:TRUE/,
  /CRL Distribution/,
]

/** Each test revokes what it was given: the next one is made in its place. */
async function anotherEdhoc(kind: 'signature' | 'static key'): Promise<EdhocServerCredential> {
  house = await house.reopen()
  return (await house.authority.edhocCredentials()).current(kind)
}

async function file(name: string, ...certificates: readonly Uint8Array[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, certificates.map((der) => pem('CERTIFICATE', der)).join(''))
  return path
}

async function crl(...names: readonly string[]): Promise<string> {
  const path = join(folder, `${names.join('-')}.crl.pem`)
  const texts: string[] = []
  for (const name of names) {
    const der = await house.authority.crl(name)
    assert.ok(der)
    texts.push(pem('X509 CRL', der))
  }
  await writeFile(path, texts.join(''))
  return path
}

function caOf(name: string): Uint8Array {
  const row = house.authority.cas().find((one) => one.name === name)
  assert.ok(row)
  return row.der
}

describe('the CAs', () => {
  it('are one root and one issuing CA a role, each with its own key and its anchor', async () => {
    const names = house.authority.cas().map((row) => row.name)
    assert.deepEqual(names.toSorted(), ['maker', 'operator', 'owner', 'root', 'server'])
    assert.equal(new Set(house.authority.cas().map((row) => row.keyFile)).size, 5)
    const anchors = await house.registry.listAnchors()
    const anchored = anchors.map((row) => row.role)
    assert.deepEqual(anchored.toSorted(), ['maker', 'operator', 'owner', 'server'])
    // The root is no anchor of any role.
    const root = house.authority.cas().find((row) => row.role === 'root')
    assert.ok(anchors.every((row) => row.fingerprint !== root?.fingerprint))
  })

  it('say what they are to OpenSSL', { skip: missing('openssl') }, async () => {
    for (const row of house.authority.cas()) {
      const path = await file(`${row.name}.pem`, row.der)
      const { text } = await openssl('x509', '-in', path, '-noout', '-text')
      assert.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:[01]/)
      assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign$/m)
      assert.match(text, /Subject Key Identifier/)
      const never = /Not After : Dec 31 23:59:59 9999 GMT/.test(text)
      assert.equal(never, row.role === 'root' || row.role === 'maker', row.name)
    }
  })
})

for (const [name, make] of Object.entries(profiles)) {
  describe(`a certificate of the profile ${name}`, () => {
    it('is what the profile says, to OpenSSL', { skip: missing('openssl') }, async () => {
      const { der, shows, hides, isSilent = false } = await make()
      const path = await file(`${name}.pem`, der)
      const { text } = await openssl('x509', '-in', path, '-noout', '-text')
      for (const pattern of shows) assert.match(text, pattern)
      for (const pattern of hides) assert.doesNotMatch(text, pattern)
      const saysWhere = /URI:http:\/\/crl\.example\.com\/crl\/[a-z]+\.crl/.test(text)
      assert.equal(saysWhere, !isSilent)
    })

    it('passes openssl verify -x509_strict -crl_check, until it is revoked', {
      skip: missing('openssl'),
    }, async () => {
      const { der, ca, purpose } = await make()
      const leaf = await file(`${name}-v.pem`, der)
      const root = await file('root.pem', caOf('root'))
      const issuing = await file(`${ca}-ca.pem`, caOf(ca))
      const verify = async (): Promise<{ code: number; text: string }> =>
        openssl(
          'verify',
          '-x509_strict',
          '-crl_check_all',
          '-CRLfile',
          await crl(ca, 'root'),
          '-CAfile',
          root,
          '-untrusted',
          issuing,
          ...(purpose === undefined ? [] : ['-purpose', purpose]),
          leaf,
        )
      const good = await verify()
      assert.equal(good.code, 0, good.text)
      const { text } = await openssl('x509', '-in', leaf, '-noout', '-serial')
      const serial = text.trim().replace('serial=', '').toLowerCase()
      await house.registry.revokeCertificate(serial, 'keyCompromise')
      const bad = await verify()
      assert.notEqual(bad.code, 0)
      assert.match(bad.text, /certificate revoked/)
      const shown = await openssl('crl', '-in', await crl(ca), '-noout', '-text')
      assert.match(shown.text, /X509v3 CRL Reason Code: \s+Key Compromise/)
    })

    it('passes certtool --verify, and certtool reads its CRL', {
      skip: missing('certtool'),
    }, async () => {
      const { der, ca } = await make()
      const chain = await file(`${name}-chain.pem`, der, caOf(ca))
      const root = await file('root.pem', caOf('root'))
      const verdict = await certtool(
        '--verify',
        '--infile',
        chain,
        '--load-ca-certificate',
        root,
        '--load-crl',
        await crl(ca, 'root'),
      )
      assert.equal(verdict.code, 0, verdict.text)
      assert.match(
        verdict.text,
        /Chain verification output: Verified\. The certificate is trusted\./,
      )
      const list = await certtool('--crl-info', '--infile', await crl(ca))
      assert.equal(list.code, 0, list.text)
    })

    it('is read by pkijs, and its signature verifies there', async () => {
      const { der, ca } = await make()
      const leaf = pkijs.Certificate.fromBER(Uint8Array.from(der))
      const issuer = pkijs.Certificate.fromBER(Uint8Array.from(caOf(ca)))
      assert.ok(await leaf.verify(issuer))
      assert.equal(Buffer.from(leaf.toSchema().toBER()).compare(der), 0)
    })
  })
}

describe('a certificate of EDHOC', () => {
  it('is no server of TLS to OpenSSL', { skip: missing('openssl') }, async () => {
    for (const kind of ['signature', 'static key'] as const) {
      const leaf = await file('edhoc.pem', (await anotherEdhoc(kind)).der)
      const chain = ['-CAfile', await file('root.pem', caOf('root')), '-untrusted']
      chain.push(await file('server-ca.pem', caOf('server')))
      const any = await openssl('verify', '-x509_strict', ...chain, leaf)
      assert.equal(any.code, 0, any.text)
      const tls = await openssl('verify', '-x509_strict', ...chain, '-purpose', 'sslserver', leaf)
      assert.notEqual(tls.code, 0)
      assert.match(tls.text, /unsuitable certificate purpose/)
    }
  })
})

describe('the CRL', () => {
  it('is there when nothing is revoked, and has no list then', async () => {
    const fresh = await makeHouse()
    try {
      for (const name of ['root', 'maker', 'owner', 'server', 'operator']) {
        const der = await fresh.authority.crl(name)
        assert.ok(der)
        const list = pkijs.CertificateRevocationList.fromBER(Uint8Array.from(der))
        assert.equal(list.revokedCertificates, undefined)
        const ca = fresh.authority.cas().find((row) => row.name === name)
        assert.ok(ca)
        assert.ok(
          await list.verify({
            issuerCertificate: pkijs.Certificate.fromBER(Uint8Array.from(ca.der)),
          }),
        )
      }
      assert.equal(await fresh.authority.crl('nobody'), undefined)
    } finally {
      await fresh.close()
    }
  })
})
