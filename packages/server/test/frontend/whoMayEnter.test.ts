import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import {
  attributeOid,
  createCertificate,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeKeyUsage,
  encodeName,
  encodeSubjectAltName,
  encodeSubjectKeyId,
  parseCertificate,
  parseCertsOnly,
} from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { anchorOf } from '../../src/compose/anchors.ts'
import { base64, basic, invite } from '../authority/estClient.ts'
import { missing } from '../authority/foreign.ts'
import { day, hour, newKey, requestFor } from '../authority/house.ts'
import { DoorHouse, type Shown, shown } from './house.ts'

const run = promisify(execFile)

describe('the https door lets in', () => {
  let house: DoorHouse
  before(async () => {
    house = await DoorHouse.create()
  })
  after(() => house.close())

  /** Codes of the refusals since `from`, as the operator reads them. */
  async function codes(from: number): Promise<unknown[]> {
    return (await house.refusals()).slice(from).map(({ code }) => code)
  }

  async function refusedWith(who: Shown, code: string): Promise<void> {
    // Beyond the address's budget of the audit log nothing would be written.
    house.house.clock.time += 60_000
    const from = (await house.refusals()).length
    const answer = await house.send(who)
    assert.equal(answer.status, 403)
    // RFC 9457, and nothing of the reason.
    assert.deepEqual(JSON.parse(answer.body), { title: 'Forbidden', status: 403 })
    assert.equal(answer.headers.connection, 'close')
    // A connection before it that is still open is cut off, which is a refusal too.
    assert.deepEqual([...new Set(await codes(from))], [code])
  }

  it('an enrolled device, whose message becomes an event that names it', async () => {
    const device = await house.device()
    const answer = await house.send(device, 'boiler/temperature', { body: '{"celsius": 21.50}' })
    assert.equal(answer.status, 202)
    const { id } = JSON.parse(answer.body) as { id: string }
    const message = (await house.messages()).at(-1)
    assert.ok(message)
    assert.match(message.body, /"data":\{"celsius": 21.50\}/)
    const { time, ...event } = JSON.parse(message.body) as Record<string, unknown>
    assert.equal(time, new Date(house.house.clock.now()).toISOString())
    assert.deepEqual(event, {
      specversion: '1.0',
      id,
      source: device.row.id,
      type: 'countersign.message',
      subject: 'boiler/temperature',
      road: 'https',
      assurance: 0,
      credential: (await house.house.registry.certificatesOf(device.row.id))[0]?.x5t,
      datacontenttype: 'application/json',
      data: { celsius: 21.5 },
    })
    assert.equal((await house.house.registry.find(device.row.id)).state, 'active')
  })

  it('a device that sends the leaf alone and one that sends its issuing CA too', async () => {
    const device = await house.device()
    const owner = house.house.authority.cas().find(({ name }) => name === 'owner')
    assert.ok(owner)
    const both = shown(device.leaf.der, device.privateKey, owner.der)
    assert.equal((await house.send(device)).status, 202)
    const checked = house.counts.verified
    assert.equal((await house.send(both)).status, 202)
    assert.equal((await house.send(device)).status, 202)
    assert.equal(house.counts.verified, checked, 'a known device costs no signature check')
  })

  it('nobody over TLS 1.2', async () => {
    const device = await house.device()
    const line = house.connect(device, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })
    assert.equal(await line.secure, false)
    assert.equal(line.error?.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  })

  it('nobody over TLS 1.2 by openssl', { skip: missing('openssl') }, async () => {
    const client = run('openssl', ['s_client', '-connect', `127.0.0.1:${house.port}`, '-tls1_2'])
    client.child.stdin?.end()
    await assert.rejects(client, /protocol version|alert/)
  })

  it('nobody without a certificate, but for the first steps of enrolment and the CRLs', async () => {
    for (const path of ['/v1/messages/a', '/', '/v1/commands', '/.well-known/est/simplereenroll']) {
      const answer = await house.ask(path, undefined, { body: 'x' })
      assert.equal(answer.status, 401, path)
      assert.equal(answer.headers['content-type'], 'application/problem+json')
    }
    assert.equal((await house.ask('/.well-known/est/cacerts')).status, 200)
    assert.ok([200, 204].includes((await house.ask('/.well-known/est/csrattrs')).status))
    const crl = await house.ask('/crl/owner.crl')
    assert.equal(crl.status, 200)
    assert.equal(crl.headers['content-type'], 'application/pkix-crl')
    assert.equal((await house.ask('/crl/nobody.crl')).status, 404)
    assert.equal((await house.ask('/crl/..%2fkeys.crl')).status, 401)
  })

  it('no certificate of another role', async () => {
    const { key, signer } = newKey()
    const csr = await requestFor(
      'an application',
      signer,
      [],
      [{ type: attributeOid.commonName, value: 'an application' }],
    )
    const parts = { csr, hosts: [] }
    const issued = await house.house.authority.issueByOperator({ profile: 'application', ...parts })
    await refusedWith(shown(issued.der, key), 'ERR_CHAIN_ROLE')
    const { chainPem, keyPem } = await house.house.authority.serverCredential()
    await refusedWith({ cert: chainPem, key: keyPem }, 'ERR_CHAIN_ROLE')
  })

  it('no certificate that somebody made for himself', async () => {
    const { key, signer } = newKey()
    const name = encodeName([{ type: attributeOid.serialNumber, value: 'SELF-1' }])
    const now = house.house.clock.now()
    const der = await createCertificate(
      {
        serial: Uint8Array.of(7),
        issuer: name,
        subject: name,
        notBefore: now - hour,
        notAfter: now + day,
        spki: signer.spki,
        extensions: [encodeBasicConstraints(false)],
      },
      signer,
    )
    await refusedWith(shown(der, key), 'ERR_CHAIN_UNKNOWN_ISSUER')
  })

  it('no certificate that a device has signed as if it were a CA', async () => {
    const device = await house.device()
    const { key, signer } = newKey()
    const now = house.house.clock.now()
    const der = await createCertificate(
      {
        serial: Uint8Array.of(8),
        issuer: device.leaf.subject.der,
        subject: encodeName([{ type: attributeOid.serialNumber, value: 'CHILD-1' }]),
        notBefore: now - hour,
        notAfter: now + day,
        spki: signer.spki,
        extensions: [encodeSubjectAltName([{ kind: 'dns', value: 'child.example' }])],
      },
      softwareSigner(device.privateKey),
    )
    await refusedWith(shown(der, key, device.leaf.der), 'ERR_CHAIN_NOT_A_CA')
  })

  it('no certificate that has expired or is not valid yet', async () => {
    const device = await house.device()
    const { clock } = house.house
    const { time } = clock
    clock.time = device.leaf.notAfter + 1000
    await refusedWith(device, 'ERR_CERT_EXPIRED')
    clock.time = device.leaf.notBefore - 2 * 60_000 - 1000
    await refusedWith(device, 'ERR_CERT_NOT_YET_VALID')
    clock.time = time
    const [refusal] = (await house.refusals()).slice(-1)
    assert.equal(refusal?.['subject'], device.row.id, 'attributed to its device')
    assert.match(String(refusal?.['where']), /link \d/)
  })

  it('no device that the registry does not know, although its certificate is good', async () => {
    const device = await house.device()
    const [row] = await house.house.registry.certificatesOf(device.row.id)
    assert.ok(row)
    await house.house.store.apply({
      writes: [{ kind: 'delete', table: 'certificate', key: row.serial }],
    })
    await refusedWith(device, 'ERR_CERT_UNKNOWN')
  })

  it('no suspended device, and the same device when it is resumed', async () => {
    const device = await house.device()
    assert.equal((await house.send(device)).status, 202)
    await house.house.registry.suspend(device.row.id, 'lost')
    await refusedWith(device, 'ERR_DEVICE_SUSPENDED')
    await house.house.registry.resume(device.row.id)
    assert.equal((await house.send(device)).status, 202)
  })

  it('no revoked device, no retired one, and none with a revoked certificate', async () => {
    const [first, second, third] = [
      await house.device(),
      await house.device(),
      await house.device(),
    ]
    const { registry } = house.house
    for (const device of [first, second, third])
      assert.equal((await house.send(device)).status, 202)
    await registry.revoke(first.row.id, 'keyCompromise')
    await refusedWith(first, 'ERR_CERT_REVOKED')
    await registry.retire(second.row.id)
    await refusedWith(second, 'ERR_CERT_REVOKED')
    const [row] = await registry.certificatesOf(third.row.id)
    await registry.revokeCertificate(row?.serial ?? '', 'superseded')
    await refusedWith(third, 'ERR_CERT_REVOKED')
  })

  it('a factory certificate where the product takes one, and to enrol only where it does not', async () => {
    const { registry, authority } = house.house
    const { key, signer } = newKey()
    const issued = await authority.issueIdevid({
      csr: await requestFor('FACTORY-1', signer),
      product: 'default',
      origin: 'software',
      assurance: 0,
      actor: 'operator',
    })
    const device = shown(issued.der, key)
    assert.equal((await house.send(device)).status, 202)
    const checked = house.counts.verified
    assert.equal((await house.send(device)).status, 202)
    assert.equal(house.counts.verified, checked, 'a known device costs no signature check')
    await registry.setProduct('default', { credential: 'owner' })
    await refusedWith(device, 'ERR_CREDENTIAL_NOT_ALLOWED')
    const own = newKey()
    const answer = await house.ask('/.well-known/est/simpleenroll', device, {
      headers: { 'content-type': 'application/pkcs10' },
      body: Buffer.from(base64(await requestFor('FACTORY-1', own.signer))),
    })
    assert.equal(answer.status, 200, answer.body)
    const [leaf] = parseCertsOnly(Buffer.from(answer.body, 'base64'))
    assert.ok(leaf)
    assert.equal((await house.send(shown(leaf, own.key))).status, 202)
    assert.equal(
      (await house.ask('/.well-known/est/simplereenroll', device, { body: 'x' })).status,
      403,
    )
    await registry.setProduct('default', { credential: 'either' })
  })

  it('a device that a foreign maker made to enrol, and nothing else', async () => {
    const { registry } = house.house
    const now = house.house.clock.now()
    const maker = newKey()
    const makerName = encodeName([{ type: attributeOid.commonName, value: 'A maker elsewhere' }])
    const keyId = Uint8Array.of(1, 2, 3, 4)
    const ca = await createCertificate(
      {
        serial: Uint8Array.of(1),
        issuer: makerName,
        subject: makerName,
        notBefore: now - day,
        notAfter: now + 100 * day,
        spki: maker.signer.spki,
        extensions: [
          encodeBasicConstraints(true, 0),
          encodeKeyUsage(['keyCertSign', 'cRLSign']),
          encodeSubjectKeyId(keyId),
        ],
      },
      maker.signer,
    )
    await registry.addAnchor({ role: 'maker', der: ca, product: 'default', serialPattern: 'M-*' })
    house.judge.setAnchors((await registry.listAnchors()).map(anchorOf))
    const { key, signer } = newKey()
    const leaf = await createCertificate(
      {
        serial: Uint8Array.of(2),
        issuer: makerName,
        subject: encodeName([{ type: attributeOid.serialNumber, value: 'M-1' }]),
        notBefore: now - day,
        notAfter: now + 50 * day,
        spki: signer.spki,
        extensions: [encodeAuthorityKeyId(keyId)],
      },
      maker.signer,
    )
    const device = shown(leaf, key)
    await refusedWith(device, 'ERR_CREDENTIAL_NOT_ALLOWED')
    const own = newKey()
    const answer = await house.ask('/.well-known/est/simpleenroll', device, {
      headers: { 'content-type': 'application/pkcs10' },
      body: Buffer.from(base64(await requestFor('M-1', own.signer))),
    })
    assert.equal(answer.status, 200, answer.body)
    const [enrolled] = parseCertsOnly(Buffer.from(answer.body, 'base64'))
    assert.ok(enrolled)
    assert.equal((await house.send(shown(enrolled, own.key))).status, 202)
  })

  it('a device that openssl and curl enrol and drive', { skip: missing('curl') }, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'countersign-door-'))
    const file = (name: string): string => join(dir, name)
    const url = `https://localhost:${house.port}`
    try {
      await writeFile(file('ca.pem'), house.ca)
      await run('openssl', [
        'ecparam',
        '-name',
        'prime256v1',
        '-genkey',
        '-noout',
        '-out',
        file('key.pem'),
      ])
      const subject = ['-subj', '/serialNumber=CURL-1']
      await run('openssl', [
        'req',
        '-new',
        '-key',
        file('key.pem'),
        ...subject,
        '-outform',
        'DER',
        '-out',
        file('csr'),
      ])
      await run('openssl', ['base64', '-in', file('csr'), '-out', file('csr.b64')])
      const curl = (...args: string[]): Promise<{ stdout: string }> =>
        run('curl', ['-sS', '--fail-with-body', '--cacert', file('ca.pem'), ...args])
      const enrolment = [
        '-u',
        `token:${await invite(house.house)}`,
        '-H',
        'content-type: application/pkcs10',
      ]
      const body = ['--data-binary', `@${file('csr.b64')}`, '-o', file('p7.b64')]
      await curl(...enrolment, ...body, `${url}/.well-known/est/simpleenroll`)
      await run('openssl', ['base64', '-d', '-in', file('p7.b64'), '-out', file('p7')])
      const print = [
        'pkcs7',
        '-inform',
        'DER',
        '-in',
        file('p7'),
        '-print_certs',
        '-out',
        file('cert.pem'),
      ]
      await run('openssl', print)
      const identity = ['--cert', file('cert.pem'), '--key', file('key.pem')]
      const sent = await curl(
        ...identity,
        '-d',
        'celsius=21.5',
        `${url}/v1/messages/room/temperature`,
      )
      assert.match(sent.stdout, /^\{"id":"[0-9a-f]{32}"\}$/)
      const event = JSON.parse((await house.messages()).at(-1)?.body ?? '') as Record<
        string,
        unknown
      >
      assert.equal(event['subject'], 'room/temperature')
      assert.equal(event['data'], 'celsius=21.5')
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('nobody with a token alone to send, and nobody with a wrong token to enrol', async () => {
    const token = await invite(house.house)
    const { signer } = newKey()
    const csr = Buffer.from(base64(await requestFor('T-1', signer)))
    const headers = { 'content-type': 'application/pkcs10' }
    const authorized = { ...headers, authorization: basic(token) }
    assert.equal((await house.send(undefined, 'a', { headers: authorized })).status, 401)
    const est = '/.well-known/est/simpleenroll'
    assert.equal((await house.ask(est, undefined, { headers, body: csr })).status, 401)
    const wrong = { ...headers, authorization: basic('wrong') }
    assert.equal((await house.ask(est, undefined, { headers: wrong, body: csr })).status, 401)
    assert.equal((await house.ask(est, undefined, { headers: authorized, body: csr })).status, 200)
  })

  it('again with the certificate that the door was given meanwhile', async () => {
    const device = await house.device()
    const { chainPem, keyPem } = await house.house.authority.serverCredential()
    house.door.setCredential({ chainPem, keyPem })
    assert.equal((await house.send(device)).status, 202)
    const line = house.connect(device, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })
    assert.equal(await line.secure, false)
    const leaf = parseCertificate(device.leaf.der)
    assert.equal(leaf.version, 3)
  })
})
