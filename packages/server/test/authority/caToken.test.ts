/** CA keys in a token: a real SoftHSM, pulled and put back; OpenSSL and pkcs11-tool look at it. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hex, pem } from '@countersign/core/codec'
import { parseCertificateList } from '@countersign/core/credential'
import { type SoftToken, skip, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { HouseToken } from '../../src/compose/caToken.ts'
import { ask, enrol, enrolled, invite } from './estClient.ts'
import { missing, openssl } from './foreign.ts'
import { type House, makeHouse, newKey, passphrase, requestFor, verified } from './house.ts'

const make = softTokens()

/** Labels of the private keys in it, as pkcs11-tool sees them. */
function keysIn(token: SoftToken): readonly string[] {
  const listed = token.tool('--list-objects', '--type', 'privkey').toString()
  return [...listed.matchAll(/label: +(.+)$/gm)].map(([, label = '']) => label).toSorted()
}

function roles(labels: readonly string[]): readonly string[] {
  return labels.map((label) => label.replace(/^countersign-[0-9a-f]{6}-/, ''))
}

/** What a timer began has ended: the log or the folder tells. */
async function until(done: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve))
}

describe('CA keys in a token', { skip }, () => {
  let token: SoftToken
  let other: SoftToken
  let caToken: HouseToken
  let house: House

  before(async () => {
    token = make('ca')
    // SoftHSM sees tokens that were there when it began.
    other = make('stranger')
    caToken = new HouseToken(token.url())
    house = await makeHouse({ caToken })
  })
  after(async () => {
    await house.close()
    await caToken.close()
  })

  it('are the root’s and one for each role, and the folder has none of them', async () => {
    assert.deepEqual(roles(keysIn(token)), ['maker', 'operator', 'owner', 'root', 'server'])
    assert.deepEqual(await readdir(join(house.directory, 'keys')), ['folder.key'])
  })

  it('sign certificates and CRLs that OpenSSL believes, the root with P-384', {
    skip: missing('openssl'),
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ca-token-'))
    const leaf = await enrol(house, await requestFor('FIRST', newKey().signer))
    const ders = new Map(house.authority.cas().map(({ name, der }) => [name, der]))
    const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text)
    await write('root.pem', pem('CERTIFICATE', ders.get('root') ?? new Uint8Array()))
    await write('owner.pem', pem('CERTIFICATE', ders.get('owner') ?? new Uint8Array()))
    await write('leaf.pem', pem('CERTIFICATE', leaf.der))
    const lists = [await house.authority.crl('owner'), await house.authority.crl('root')]
    await write('crl.pem', lists.map((der) => pem('X509 CRL', der ?? new Uint8Array())).join(''))
    const at = (name: string): string => join(folder, name)
    const chain = ['-CAfile', at('root.pem'), '-untrusted', at('owner.pem'), at('leaf.pem')]
    const lookAtLists = ['-x509_strict', '-crl_check_all', '-CRLfile', at('crl.pem')]
    const verdict = await openssl('verify', ...lookAtLists, ...chain)
    assert.equal(verdict.code, 0, verdict.text)
    const root = await openssl('x509', '-in', at('root.pem'), '-noout', '-text')
    assert.match(root.text, /ecdsa-with-SHA384/)
    assert.match(root.text, /P-384/)
    await rm(folder, { recursive: true })
  })

  it('a rollover needs no passphrase of a root key, and makes its key in the token', async () => {
    const made = await house.authority.rollover({ role: 'operator' })
    assert.equal(made.name, 'operator-2')
    assert.ok(roles(keysIn(token)).includes('operator-2'))
    const withFile = house.authority.rollover({ role: 'operator', rootKey: '/somewhere/root.key' })
    await assert.rejects(withFile, { code: 'ERR_ROOT_KEY' })
  })

  it('pulled while it serves: enrolment is put off, and the same request succeeds when it is back', async () => {
    const csr = await requestFor('WAITS', newKey().signer)
    const invitation = await invite(house)
    token.pull()
    try {
      for (let turn = 0; turn < 3; turn++) {
        const answer = await ask(house, 'simpleenroll', { csr, token: invitation })
        assert.equal(answer.status, 503)
        assert.equal(answer.headers['retry-after'], '60')
        assert.match(String(answer.body), /"code":"ERR_CA_TOKEN"/)
        // The peer learns no more than that.
        assert.doesNotMatch(String(answer.body), /pkcs11|softhsm/i)
      }
      assert.match(house.logged.at(-1) ?? '', /the CA keys in the token cannot be used/)
    } finally {
      token.putBack()
    }
    const leaf = enrolled(await ask(house, 'simpleenroll', { csr, token: invitation }))
    await verified(house, leaf.der, 'owner')
    const again = enrolled(await ask(house, 'simpleenroll', { csr, token: invitation }))
    assert.deepEqual(again.der, leaf.der)
  })

  it('pulled while something is revoked: the last CRL stays, the next comes when it is back', async () => {
    const leaf = await enrol(house, await requestFor('REVOKED', newKey().signer))
    const earlier = parseCertificateList((await house.authority.crl('owner')) ?? new Uint8Array())
    token.pull()
    try {
      await house.registry.revokeCertificate(hex(leaf.serial), 'keyCompromise')
      await assert.rejects(house.authority.crl('owner'), {
        code: 'ERR_CA_TOKEN',
        where: 'pkcs11:token=ca',
        hint: /./,
      })
    } finally {
      token.putBack()
    }
    const list = parseCertificateList((await house.authority.crl('owner')) ?? new Uint8Array())
    assert.ok(list.findRevoked(leaf.serial))
    assert.ok((list.crlNumber ?? 0n) > (earlier.crlNumber ?? 0n))
  })

  it('pulled while CRLs are kept fresh: the log says so, and the next try publishes', async () => {
    await house.authority.start(() => undefined)
    const leaf = await enrol(house, await requestFor('LISTED', newKey().signer))
    token.pull()
    const said = house.logged.length
    await house.registry.revokeCertificate(hex(leaf.serial), 'superseded')
    await until(() => {
      house.timers.fire()
      return house.logged.slice(said).some((line) => /CRL of owner could not be signed/.test(line))
    })
    token.putBack()
    const file = join(house.directory, 'crl', 'owner.crl')
    await until(async () => {
      house.timers.fire()
      const list = parseCertificateList(await readFile(file))
      return list.findRevoked(leaf.serial) !== undefined
    })
  })

  it('the house opens again with its token, and not without', async () => {
    house = await house.reopen()
    await enrol(house, await requestFor('LATER', newKey().signer))
    const stranger = new HouseToken(other.url())
    await assert.rejects(house.reopen({ caToken: stranger }), {
      code: 'ERR_CA_TOKEN',
      hint: /Is this the token/,
    })
    await stranger.close()
    house = await makeHouse({ caToken })
  })
})

describe('a token that is not there', { skip }, () => {
  it('is said with its name, the reason and what to do', async () => {
    const token = make('absent')
    token.pull()
    const caToken = new HouseToken(token.url())
    await assert.rejects(makeHouse({ caToken }), {
      code: 'ERR_CA_TOKEN',
      where: 'pkcs11:token=absent',
      message: /no slot of the module holds this token/,
      hint: /--list-token-slots$/,
    })
    token.putBack()
    await (await makeHouse({ caToken })).close()
    await caToken.close()
  })

  it('leaves nothing in the token when a founding fails half-way', async () => {
    const token = make('halfway')
    const real = new HouseToken(token.url())
    let made = 0
    const failing = {
      signer: (label: string) => real.signer(label),
      generate: async (...args: Parameters<HouseToken['generate']>) => {
        made += 1
        if (made === 4) throw new Error('the power went')
        return await real.generate(...args)
      },
    }
    await assert.rejects(makeHouse({ caToken: failing }), /the power went/)
    assert.equal(keysIn(token).length, 3)
    await real.undo()
    assert.deepEqual(keysIn(token), [])
    await real.close()
  })
})

describe('a house that gets a token later', { skip }, () => {
  it('makes the next CA in it by a rollover, and keeps what it has', async () => {
    const token = make('later')
    const first = await makeHouse()
    const caToken = new HouseToken(token.url())
    const house = await first.reopen({ caToken })
    await house.authority.rollover({ role: 'owner', rootPassphrase: passphrase })
    assert.deepEqual(roles(keysIn(token)), ['owner-2'])
    const leaf = await enrol(house, await requestFor('BOTH', newKey().signer))
    await verified(house, leaf.der, 'owner')
    const list = parseCertificateList((await house.authority.crl('owner')) ?? new Uint8Array())
    assert.equal(list.entryCount, 0)
    await house.close()
    await caToken.close()
  })
})
