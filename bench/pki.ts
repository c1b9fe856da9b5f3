/**
 * What foreign servers need and the house does not have: a root with a key on P-256. The house's
 * own is on P-384, and a server that checks the chain up to it would pay for that in every
 * handshake. So an issuing CA of the house gets a second certificate, of the same name and key,
 * signed by such a root.
 */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hex } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'

export const newKey: readonly string[] = [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:P-256',
  '-nodes',
]
export const isCa: readonly string[] = ['-addext', 'basicConstraints=critical,CA:TRUE']

export function openssl(folder: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
}

/** `<name>.pem` and `<name>.key` in the folder. */
export function makeRoot(folder: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
  openssl(folder, 'req', '-x509', '-subj', `/CN=bench ${name}`, ...newKey, ...files, ...isCa)
}

/** Answers the certificate, PEM. `caFile` names the house's own; both files are in the folder. */
export function certifyAgain(folder: string, caFile: string, root: string): string {
  const ca = new X509Certificate(readFileSync(caFile))
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return name
  }
  const key = file('again.pub', String(ca.publicKey.export({ format: 'pem', type: 'spki' })))
  const keyId = hex(parseCertificate(ca.raw).extensions.subjectKeyId ?? new Uint8Array(0))
  const rules = [
    'basicConstraints=critical,CA:TRUE,pathlen:0',
    'keyUsage=critical,keyCertSign,cRLSign',
    `subjectKeyIdentifier=${keyId}`,
  ].join('\n')
  const extensions = ['-extfile', file('again.ext', rules)]
  const subject = ['-subj', `/${ca.subject.split('\n').join('/')}`]
  const signer = ['-CA', `${root}.pem`, '-CAkey', `${root}.key`, '-days', '3650']
  const made = ['-out', 'again.pem']
  openssl(
    folder,
    'x509',
    '-new',
    '-force_pubkey',
    key,
    ...subject,
    ...signer,
    ...extensions,
    ...made,
  )
  return readFileSync(join(folder, 'again.pem'), 'utf8')
}
