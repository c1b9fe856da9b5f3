/**
 * `countersign verify`: one chain, judged by RFC 5280 with the names of RFC 9525, as the judge
 * judges on every road. What is house policy on top (roles, explicit purposes) is left out, so that
 * foreign chains can be looked at.
 */
import { hex } from '@countersign/core/codec'
import {
  type ChainErrorCode,
  formatName,
  type PathRequest,
  purposes,
  type ReferenceName,
  type ValidPath,
  validatePath,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Crypto, Milliseconds } from '@countersign/core/ports'
import { readCertificates, readLeaf, readLists, type Source } from './material.ts'

export type VerifyPurpose = 'device' | 'server' | 'ca'

export interface ChainQuestion {
  readonly leaf: Source
  readonly anchors: readonly Source[]
  readonly intermediates: readonly Source[]
  readonly crls: readonly Source[]
  readonly at: Milliseconds
  readonly purpose?: VerifyPurpose | undefined
  readonly name?: ReferenceName | undefined
  readonly depthMax?: number | undefined
}

export interface ChainAnswer {
  readonly ok: true
  /** Leaf first, anchor last. */
  readonly path: readonly {
    readonly subject: string
    readonly serial: string
    readonly fingerprint: string
    readonly notAfter: string
  }[]
  readonly notAfter: string
}

/**
 * Judges the chain, or throws the PeerError that says which link, which field, why, and what to do.
 */
export function verifyChain(question: ChainQuestion, crypto: Crypto): ChainAnswer {
  const { path, notAfter } = judgeChain(question, crypto)
  return {
    ok: true,
    path: path.map((certificate) => ({
      subject: formatName(certificate.subject),
      serial: hex(certificate.serial),
      fingerprint: hex(crypto.hash('sha256', certificate.der)),
      notAfter: new Date(certificate.notAfter).toISOString(),
    })),
    notAfter: new Date(notAfter).toISOString(),
  }
}

export function judgeChain(question: ChainQuestion, crypto: Crypto): ValidPath {
  const { leaf, others } = readLeaf(question.leaf)
  const anchors = readCertificates(question.anchors)
  const intermediates = readCertificates(question.intermediates)
  const request: PathRequest = {
    leaf,
    anchors: anchors.read,
    intermediates: [...others.read, ...intermediates.read],
    crls: readLists(question.crls),
    at: question.at,
    ...usageOf(question.purpose),
    ...(question.name === undefined ? {} : { name: question.name }),
    ...(question.depthMax === undefined ? {} : { depthMax: question.depthMax }),
  }
  try {
    return validatePath(request, crypto)
  } catch (error) {
    const unknown: ChainErrorCode = 'ERR_CHAIN_UNKNOWN_ISSUER'
    const flaw = anchors.flaw ?? intermediates.flaw ?? others.flaw
    // The certificate that was set aside is the better reason for a path that was not found.
    if (flaw !== undefined && error instanceof PeerError && error.code === unknown) throw flaw
    throw error
  }
}

function usageOf(
  purpose: VerifyPurpose | undefined,
): Pick<PathRequest, 'extKeyUsage' | 'asCa'> | undefined {
  switch (purpose) {
    case 'server':
      return { extKeyUsage: { oid: purposes.serverAuth, explicit: false } }
    case 'device':
      return { extKeyUsage: { oid: purposes.clientAuth, explicit: false } }
    case 'ca':
      return { asCa: true }
    case undefined:
      return undefined
  }
}

/**
 * What `--name` means: a mailbox has an `@`, an address is digits or colons, anything else is a DNS
 * name.
 */
export function referenceName(text: string): ReferenceName {
  if (text.includes('@')) return { kind: 'email', value: text }
  const address = text.includes(':') || /^[0-9.]+$/.test(text)
  return { kind: address ? 'IP' : 'DNS', value: text }
}
