/**
 * The works of emulated ATECC608 parts: certifies their attestation keys, as a vendor's factory would
 * those of chips. Its root and every certificate under it carry the purpose `emulatorAttestation`,
 * by which verifiers cap what they attest: an emulator's keys lie in a file.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { link, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { noExpiration, utf8 } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  encodeSubjectKeyId,
  parseCertificate,
  parseSpki,
  purposes,
} from '@countersign/core/credential'
import { elementError } from '@countersign/core/ports'
import { privateMode } from '../../durable.ts'
import { errorCode, parseRecord } from '../../shapes.ts'
import { spkiOfPoint } from '../../signer.ts'
import { softwareSigner } from '../../softwareSigner.ts'

export interface EmulatorWorks {
  /** The certificate that a verifier configures, DER. */
  readonly root: Uint8Array
  /**
   * A certificate for the attestation key (X || Y) of the part with this serial number, nine bytes
   * in lower-case hex. DER, short enough for slot 8.
   */
  certify(serial: string, point: Uint8Array): Promise<Uint8Array>
}

/** Beside the parts of a folder: who made them. */
export function worksFile(folder: string): string {
  return join(folder, 'emulator-works.json')
}

/** Of slot 8 of an ATECC608, where the certificate is kept. */
export const worksCertificateBytesMax = 416

const formatVersion = 1
/** Before any clock that judges it: an emulator has no history. */
const begin = Date.UTC(2020, 0, 1)
const rootName = encodeName([{ type: attributeOid.commonName, value: 'emulator works' }])
const purpose = encodeExtKeyUsage([purposes.emulatorAttestation])

/**
 * Opens the works in this file, or makes them there (mode 0600).
 *
 * @example const works = await openWorks('./parts/works.json')
 */
export async function openWorks(path: string): Promise<EmulatorWorks> {
  const { key, root } = (await read(path)) ?? (await found(path))
  const signer = softwareSigner(key)
  const authority = encodeAuthorityKeyId(keyId(signer.spki))
  return {
    root,
    async certify(serial, point) {
      if (!/^[0-9a-f]{18}$/.test(serial)) {
        throw elementError('ERR_ELEMENT_ARGUMENT', 'a serial number is nine bytes in hex')
      }
      const spki = spkiOfPoint(point)
      const parts = {
        serial: certificateSerial(serial, point),
        issuer: rootName,
        subject: encodeName([{ type: attributeOid.serialNumber, value: serial }]),
        notBefore: begin,
        notAfter: noExpiration,
        spki,
        extensions: [encodeKeyUsage(['digitalSignature']), purpose, authority],
      }
      return createCertificate(parts, signer)
    },
  }
}

interface Content {
  readonly key: KeyObject
  readonly root: Uint8Array
}

/** Made beside and linked into place: of two that begin at once, both take the first. */
async function found(path: string): Promise<Content> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const root = await makeRoot(privateKey)
  const key = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  const content = { version: formatVersion, key, root: Buffer.from(root).toString('base64') }
  const beside = `${path}.${randomBytes(8).toString('hex')}.new`
  const file = await open(beside, 'wx', privateMode)
  try {
    await file.writeFile(`${JSON.stringify(content)}\n`)
    await file.sync()
    await link(beside, path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  } finally {
    await file.close()
    await rm(beside, { force: true })
  }
  return (await read(path)) ?? { key: privateKey, root }
}

async function makeRoot(key: KeyObject): Promise<Uint8Array> {
  const signer = softwareSigner(key)
  const parts = {
    serial: certificateSerial('root', signer.spki),
    issuer: rootName,
    subject: rootName,
    notBefore: begin,
    notAfter: noExpiration,
    spki: signer.spki,
    extensions: [
      encodeBasicConstraints(true, 0),
      encodeKeyUsage(['keyCertSign']),
      purpose,
      encodeSubjectKeyId(keyId(signer.spki)),
    ],
  }
  return createCertificate(parts, signer)
}

async function read(path: string): Promise<Content | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  await requirePrivate(path)
  const content = parseRecord(text)
  const { version, key, root } = content ?? {}
  if (version !== formatVersion || typeof key !== 'string' || typeof root !== 'string') {
    throw damaged(path)
  }
  return parseContent(path, key, root)
}

function parseContent(path: string, key: string, root: string): Content {
  try {
    const der = new Uint8Array(Buffer.from(root, 'base64'))
    const pkcs8 = Buffer.from(key, 'base64')
    const opened = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    // Of one another: half a file of one works and half of another certify nothing.
    const isPair = Buffer.from(parseCertificate(der).spki.der).equals(softwareSigner(opened).spki)
    if (isPair) return { key: opened, root: der }
  } catch {
    // Said below without the cause: OpenSSL's words may quote what it was given.
  }
  throw damaged(path)
}

async function requirePrivate(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw elementError(
    'ERR_ELEMENT_MODE',
    `others may read the key of these works (mode ${(mode & 0o777).toString(8)})`,
    {},
    { where: path, hint: `Close it with: chmod ${privateMode.toString(8)}.` },
  )
}

function damaged(path: string): Error {
  return elementError(
    'ERR_ELEMENT_DAMAGED',
    'the file of the emulator works is not readable as one',
    {},
    { where: path, hint: 'Remove it, and provision the emulated parts anew.' },
  )
}

/** RFC 7093 §2 in spirit, of 64 bits: slot 8 is small, and these works certify few keys. */
function keyId(spki: Uint8Array): Uint8Array {
  return createHash('sha256').update(parseSpki(spki).keyBytes).digest().subarray(0, 8)
}

/** The same key of the same part gets the same number: certifying twice is no second certificate. */
function certificateSerial(name: string, key: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(utf8(name)).update(key).digest()
  return Uint8Array.of(0x40, ...digest.subarray(0, 8))
}
