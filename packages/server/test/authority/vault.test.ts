import assert from 'node:assert/strict'
import { createPublicKey, sign, verify } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { ScryptCost } from '../../src/authority/passphrase.ts'
import { rootKeyFile, Vault } from '../../src/authority/vault.ts'

const cheap: ScryptCost = { log2N: 10, r: 8, p: 1 }
const passphrase = 'correct horse battery'
const folders: string[] = []

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'vault-'))
  folders.push(directory)
  return directory
}

after(async () => {
  for (const directory of folders) await rm(directory, { recursive: true, force: true })
})

describe('the vault', () => {
  it('opens with the passphrase it was made with and gives the same keys back', async () => {
    const directory = await folder()
    const made = await Vault.create({ directory, passphrase, cost: cheap })
    const key = await made.createKey('owner.key', 'P-256')
    const opened = await Vault.open({ directory, passphrase, cost: cheap })
    const again = await opened.openKey('owner.key')
    const signature = sign('sha256', Buffer.from('x'), again)
    assert.ok(verify('sha256', Buffer.from('x'), createPublicKey(key), signature))
  })

  it('refuses a wrong passphrase with one answer and a hint', async () => {
    const directory = await folder()
    await Vault.create({ directory, passphrase, cost: cheap })
    await assert.rejects(Vault.open({ directory, passphrase: 'wrong horse', cost: cheap }), {
      name: 'CallerError',
      code: 'ERR_PASSPHRASE',
      hint: /passphrase/,
    })
  })

  it('takes a passphrase typed in another Unicode form', async () => {
    const directory = await folder()
    await Vault.create({ directory, passphrase: 'Caf\u00e9 am Rhein', cost: cheap })
    await Vault.open({ directory, passphrase: 'Cafe\u0301 am Rhein', cost: cheap })
  })

  it('refuses a short passphrase and a folder that already has a key', async () => {
    const directory = await folder()
    await assert.rejects(Vault.create({ directory, passphrase: 'short', cost: cheap }), {
      code: 'ERR_PASSPHRASE',
    })
    await Vault.create({ directory, passphrase, cost: cheap })
    await assert.rejects(Vault.create({ directory, passphrase, cost: cheap }), {
      code: 'ERR_FOLDER_EXISTS',
    })
  })

  it('keeps files private, also in a folder that was open to others', async () => {
    const directory = await folder()
    await chmod(directory, 0o755)
    const vault = await Vault.create({ directory, passphrase, cost: cheap })
    await vault.createKey('owner.key', 'P-256')
    await vault.createRootKey('P-384', passphrase)
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    const files = await readdir(directory)
    assert.deepEqual(files.toSorted(), ['folder.key', 'owner.key', 'root.key'])
    for (const file of files) assert.equal((await stat(join(directory, file))).mode & 0o777, 0o600)
  })

  it('opens no secret under another name, nor a changed one', async () => {
    const directory = await folder()
    const vault = await Vault.create({ directory, passphrase, cost: cheap })
    const sealed = vault.seal('webhook:a', Buffer.from('secret'))
    assert.equal(Buffer.from(vault.open('webhook:a', sealed)).toString(), 'secret')
    assert.throws(() => vault.open('webhook:b', sealed), { code: 'ERR_VAULT_CORRUPT' })
    for (let at = 0; at < sealed.length; at++) {
      const changed = Uint8Array.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.throws(() => vault.open('webhook:a', changed), { code: 'ERR_VAULT_CORRUPT' })
      assert.throws(() => vault.open('webhook:a', sealed.subarray(0, at)), {
        code: 'ERR_VAULT_CORRUPT',
      })
    }
    await vault.createKey('a.key', 'P-256')
    await rename(join(directory, 'a.key'), join(directory, 'b.key'))
    await assert.rejects(vault.openKey('b.key'), { code: 'ERR_VAULT_CORRUPT' })
  })

  it('shows nothing when printed, and no file holds a key in the clear', async () => {
    const directory = await folder()
    const vault = await Vault.create({ directory, passphrase, cost: cheap })
    const key = await vault.createKey('owner.key', 'P-256')
    assert.equal(JSON.stringify({ vault }), '{"vault":{}}')
    assert.equal(inspect({ vault }, { depth: 9, showHidden: true }), '{ vault: Vault {} }')
    const scalar = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
    assert.equal(scalar.length, 32)
    assert.ok(!(await readFile(join(directory, 'owner.key'))).includes(scalar))
  })

  it('carries the root key in a file of its own that opens elsewhere with its own passphrase', async () => {
    const directory = await folder()
    const elsewhere = join(await folder(), 'usb.key')
    const vault = await Vault.create({ directory, passphrase, cost: cheap })
    await vault.createRootKey('P-384', 'another long one')
    await rename(join(directory, rootKeyFile), elsewhere)
    await assert.rejects(vault.openRootKey('another long one'), { code: 'ERR_KEY_FILE_MISSING' })
    await assert.rejects(vault.openRootKey(passphrase, elsewhere), { code: 'ERR_PASSPHRASE' })
    const wrong = join(directory, 'folder.key')
    await assert.rejects(vault.openRootKey(passphrase, wrong), {
      code: 'ERR_VAULT_CORRUPT',
      where: wrong,
    })
    const key = await vault.openRootKey('another long one', elsewhere)
    assert.equal(key.asymmetricKeyDetails?.namedCurve, 'secp384r1')
  })

  it('wraps again when the cost has been raised, and still opens', async () => {
    const directory = await folder()
    await Vault.create({ directory, passphrase, cost: cheap })
    const file = join(directory, 'folder.key')
    const before = await readFile(file, 'utf8')
    await Vault.open({ directory, passphrase, cost: cheap })
    assert.equal(await readFile(file, 'utf8'), before)
    await Vault.open({ directory, passphrase, cost: { ...cheap, log2N: 11 } })
    assert.match(await readFile(file, 'utf8'), /"log2N":11/)
    await Vault.open({ directory, passphrase, cost: cheap })
    assert.match(await readFile(file, 'utf8'), /"log2N":11/)
  })

  it('refuses a file that asks for unbounded work, and one that is no key file', async () => {
    const directory = await folder()
    await Vault.create({ directory, passphrase, cost: cheap })
    const file = join(directory, 'folder.key')
    const good = await readFile(file, 'utf8')
    const bad = [
      good.replace('"log2N":10', '"log2N":40'),
      good.replace('"p":1', '"p":1000000'),
      good.replace('"name":"folder.key"', '"name":"root.key"'),
      good.slice(0, 40),
      'null',
      '{}',
      'x'.repeat(100_000),
    ]
    for (const text of bad) {
      await writeFile(file, text)
      await assert.rejects(Vault.open({ directory, passphrase, cost: cheap }), {
        code: 'ERR_VAULT_CORRUPT',
      })
    }
    await writeFile(file, good.replace('"log2N":10', '"log2N":11'))
    await assert.rejects(Vault.open({ directory, passphrase, cost: cheap }), {
      code: 'ERR_PASSPHRASE',
    })
  })
})
