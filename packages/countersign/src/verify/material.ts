/**
 * From text to what the judge takes. PEM that cannot be read is the caller's mistake and ends the
 * matter; a certificate of the bag that is no certificate is set aside, as a path may do without
 * it, and named when no path is found.
 */
import { type PemBlock, parsePem } from '@countersign/core/codec'
import {
  type Certificate,
  type CertificateList,
  type ChainErrorCode,
  parseCertificate,
  parseCertificateList,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'

/** `certificate` also under its old names (RFC 7468 §5.1, Appendix A). */
const certificateLabels: ReadonlySet<string> = new Set([
  'CERTIFICATE',
  'X509 CERTIFICATE',
  'X.509 CERTIFICATE',
])
const listLabels: ReadonlySet<string> = new Set(['X509 CRL', 'CRL'])

/** One text of PEM, and what it is called in a message: `anchors[0]`, a file name. */
export interface Source {
  readonly where: string
  readonly text: string
}

export interface Certificates {
  readonly read: readonly Certificate[]
  /** The first one that was set aside. */
  readonly flaw: PeerError | undefined
}

/** Every certificate of the sources, in order. */
export function readCertificates(sources: readonly Source[]): Certificates {
  const read: Certificate[] = []
  let flaw: PeerError | undefined
  for (const source of sources) {
    const blocks = blocksOf(source, certificateLabels, 'ERR_CERT_MALFORMED', 'CERTIFICATE')
    for (const [index, block] of blocks.entries()) {
      try {
        read.push(parseCertificate(block.der))
      } catch (error) {
        flaw ??= unreadable('ERR_CERT_MALFORMED', placeOf(source, index, blocks.length), error)
      }
    }
  }
  return { read, flaw }
}

/**
 * The first certificate of the source is the leaf and must be sound; what follows it belongs to the
 * bag.
 */
export function readLeaf(source: Source): { leaf: Certificate; others: Certificates } {
  const blocks = blocksOf(source, certificateLabels, 'ERR_CERT_MALFORMED', 'CERTIFICATE')
  const { read, flaw } = readCertificates([source])
  const [leaf, ...others] = read
  const first = blocks[0]
  // A leaf that was set aside would make the next certificate the leaf.
  if (leaf === undefined || leaf.der.length !== first?.der.length || !startsWith(leaf, first)) {
    throw flaw ?? unreadable('ERR_CERT_MALFORMED', source.where, undefined)
  }
  return { leaf, others: { read: others, flaw } }
}

/** A list that cannot be read may be the one that revokes: it refuses. */
export function readLists(sources: readonly Source[]): readonly CertificateList[] {
  return sources.flatMap((source) => {
    const blocks = blocksOf(source, listLabels, 'ERR_CRL_UNUSABLE', 'X509 CRL')
    return blocks.map((block, index) => {
      try {
        return parseCertificateList(block.der)
      } catch (error) {
        throw unreadable('ERR_CRL_UNUSABLE', placeOf(source, index, blocks.length), error)
      }
    })
  })
}

function blocksOf(
  source: Source,
  labels: ReadonlySet<string>,
  code: ChainErrorCode,
  wanted: string,
): readonly PemBlock[] {
  const der = asDer(source.text)
  if (der !== undefined) return [{ label: wanted, der }]
  let blocks: readonly PemBlock[]
  try {
    blocks = parsePem(source.text)
  } catch (error) {
    throw unreadable(code, source.where, error)
  }
  const found = blocks.filter((block) => labels.has(block.label))
  if (found.length > 0) return found
  const hint = `Give PEM that begins with -----BEGIN ${wanted}-----.`
  throw new PeerError(code, `${source.where} holds no ${wanted}`, {}, { where: source.where, hint })
}

/**
 * A file may be DER, read as one character for each byte: a SEQUENCE of two length octets or more
 * is no text.
 */
function asDer(text: string): Uint8Array | undefined {
  if (!/^0[\u0080-\u0084]/.test(text)) return undefined
  const der = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) {
    const octet = text.charCodeAt(index)
    if (octet > 0xff) return undefined
    der[index] = octet
  }
  return der
}

function startsWith(leaf: Certificate, block: PemBlock): boolean {
  return leaf.der.every((octet, index) => octet === block.der[index])
}

function placeOf(source: Source, index: number, count: number): string {
  return count === 1 ? source.where : `${source.where}, block ${index + 1}`
}

function unreadable(code: ChainErrorCode, where: string, cause: unknown): PeerError {
  if (cause !== undefined && !(cause instanceof PeerError)) throw cause
  const field = cause?.where === undefined ? '' : `: ${cause.where}`
  const reason = cause === undefined ? 'it is no certificate' : cause.message
  const hint = 'Get the file again from where it was made; openssl asn1parse shows what is in it.'
  return new PeerError(
    code,
    `${where} cannot be read: ${reason}`,
    {},
    { where: `${where}${field}`, hint, cause },
  )
}
