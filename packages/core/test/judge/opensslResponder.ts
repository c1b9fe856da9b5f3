/** OpenSSL as the OCSP responder of a CA: its keys are in files, and its index says who is who. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hex } from '@countersign/core/codec'
import type { Certificate } from '@countersign/core/credential'
import type { Signer } from '@countersign/core/ports'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { openssl, temporaryFolder } from '../x509/support.ts'
import { authority, certificateFile, type House, house, issue, signing } from './ocspWorld.ts'
import type { Entity } from './world.ts'

export function p256(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/** A key of RSA behind the signer port. */
export function rsaSigner(): { readonly key: KeyObject; readonly signer: Signer } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signer: Signer = {
    scheme: { kind: 'rsa-pkcs1', hash: 'sha256' },
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    sign: async (message) => new Uint8Array(sign('sha256', message, privateKey)),
  }
  return { key: privateKey, signer }
}

interface Responder {
  readonly home: House
  /** A line of OpenSSL's index for each certificate that it knows. */
  readonly lines: Map<Entity, string>
  readonly ask: (options: readonly string[], leaves?: readonly Entity[]) => Uint8Array
}

/** OpenSSL as the responder of a CA whose keys it has in files. */
export async function responder(
  make: () => { key: KeyObject; signer: Signer },
): Promise<Responder> {
  const folder = temporaryFolder()
  const [caKey, delegateKey] = [make(), make()]
  const usual = await house()
  const ca = await authority(usual.root, { name: 'Test CA', signer: caKey.signer })
  const leaf = await issue(ca, { name: 'leaf' })
  const delegate = await ca.issue({ ...signing, signer: delegateKey.signer })
  const caFile = certificateFile(folder, 'ca', ca.certificate)
  certificateFile(folder, 'delegate', delegate.certificate)
  keyFile(folder, 'ca', caKey.key)
  keyFile(folder, 'delegate', delegateKey.key)
  const lines = new Map([[leaf, valid(leaf.certificate)]])
  const index = join(folder, 'index.txt')
  const ask: Responder['ask'] = (options, leaves = [leaf]) => {
    writeFileSync(index, `${[...lines.values()].join('\n')}\n`)
    const respout = join(folder, 'response.der')
    const signer = options.includes('delegate') ? 'delegate' : 'ca'
    const given = ['ocsp', '-index', index, '-CA', caFile, '-issuer', caFile, '-no_nonce']
    given.push('-rsigner', join(folder, `${signer}.pem`), '-rkey', join(folder, `${signer}.key`))
    given.push('-noverify', '-respout', respout)
    given.push(...options.filter((option) => option !== 'delegate'))
    for (const [number, { certificate }] of leaves.entries()) {
      given.push('-cert', certificateFile(folder, `leaf${number}`, certificate))
    }
    openssl(given)
    return new Uint8Array(readFileSync(respout))
  }
  return { home: { root: usual.root, ca, leaf, delegate }, lines, ask }
}

export function ecResponder(): Promise<Responder> {
  return responder(() => {
    const key = p256()
    return { key, signer: softwareSigner(key) }
  })
}

export function valid({ serial }: Certificate): string {
  return `V\t491231000000Z\t\t${hex(serial).toUpperCase()}\tunknown\t/CN=leaf`
}

export function ended({ serial }: Certificate, when: string): string {
  return `R\t491231000000Z\t${when}\t${hex(serial).toUpperCase()}\tunknown\t/CN=leaf`
}

function keyFile(folder: string, name: string, key: KeyObject): string {
  const file = join(folder, `${name}.key`)
  writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }))
  return file
}
