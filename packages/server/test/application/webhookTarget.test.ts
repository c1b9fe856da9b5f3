import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { describe, it } from 'node:test'
import { WebhookTargets } from '../../src/application/webhookTarget.ts'

type Lookup = ConstructorParameters<typeof WebhookTargets>[1]

/** A name server in the hand of an attacker. */
function resolving(...addresses: string[]): Lookup {
  const found: LookupAddress[] = addresses.map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }))
  const lookup = (
    _host: string,
    _options: object,
    done: (error: null, found: LookupAddress[]) => void,
  ): void => done(null, found)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one of the overloads is what is called
  return lookup as Lookup
}

function look(targets: WebhookTargets, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    targets.lookup(host, { all: false }, (error, address) => {
      if (error !== null) reject(error)
      else resolve(typeof address === 'string' ? address : JSON.stringify(address))
    })
  })
}

describe('the target of a webhook', () => {
  const plain = new WebhookTargets([])

  for (const url of [
    'http://example.com/hook',
    'ftp://example.com/',
    'file:///etc/passwd',
    'https://user:secret@example.com/',
    'https://example.com/#there',
    'not a url',
    `https://example.com/${'x'.repeat(3000)}`,
    '',
  ])
    it(`is not taken as ${url.slice(0, 40)}`, () => {
      assert.throws(() => plain.parse(url), { name: 'CallerError', code: 'ERR_WEBHOOK_URL' })
    })

  for (const url of [
    'https://10.0.0.1/',
    'https://192.168.1.1/',
    'https://172.31.0.9/',
    'https://169.254.169.254/latest/meta-data',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://0x7f.1.1.1.1/',
    'https://[fe80::1]/',
    'https://[fd00::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[64:ff9b::a00:1]/',
    'https://[::ffff:0:a00:1]/',
    'https://[2001:0:a00:1::1]/',
    'https://[2002:a00:1::1]/',
    'https://[::a00:1]/',
    'https://167772161/',
    'https://0x0a000001/',
    'https://012.0.0.1/',
    'https://１０.0.0.1/',
    'https://192.88.99.1/',
    'https://[::]/',
    'https://224.0.0.1/',
  ])
    it(`is not ${url}`, () => {
      assert.throws(
        () => plain.parse(url),
        (error: { code?: string }) =>
          ['ERR_WEBHOOK_URL', 'ERR_WEBHOOK_TARGET'].includes(error.code ?? ''),
      )
    })

  for (const url of [
    'https://example.com/hook?x=1',
    'https://93.184.216.34/',
    'http://127.0.0.1:9000/',
    'http://localhost:9000/',
    'http://[::1]:9000/',
    'https://[2606:2800:220:1::1]/',
  ])
    it(`may be ${url}`, () => {
      assert.equal(plain.parse(url).hostname, new URL(url).hostname)
    })

  it('may be anything that the operator trusts by name', () => {
    const trusting = new WebhookTargets(['hooks.internal', '10.0.0.1', 'fd00::1'])
    trusting.parse('http://hooks.internal/x')
    trusting.parse('http://10.0.0.1/x')
    trusting.parse('https://[fd00::1]/x')
    assert.throws(() => trusting.parse('http://10.0.0.2/x'))
  })

  for (const inward of [
    '10.0.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '::1',
    'fe80::1',
    '::ffff:127.0.0.1',
  ])
    it(`is refused when its name leads to ${inward}, also beside a public address`, async () => {
      const targets = new WebhookTargets([], resolving('93.184.216.34', inward))
      await assert.rejects(look(targets, 'rebind.example.com'), { code: 'ERR_WEBHOOK_TARGET' })
    })

  it('is called at the address that was judged', async () => {
    const targets = new WebhookTargets([], resolving('93.184.216.34'))
    assert.equal(await look(targets, 'example.com'), '93.184.216.34')
  })

  it('called localhost must be this machine', async () => {
    assert.equal(
      await look(new WebhookTargets([], resolving('127.0.0.1')), 'localhost'),
      '127.0.0.1',
    )
    await assert.rejects(look(new WebhookTargets([], resolving('10.0.0.1')), 'localhost'))
  })

  it('by a trusted name may be inside', async () => {
    const targets = new WebhookTargets(['hooks.internal'], resolving('10.0.0.7'))
    assert.equal(await look(targets, 'hooks.internal'), '10.0.0.7')
  })
})
