/** The certificates that the server itself shows: of TLS, and of EDHOC with what follows them. */
import { hex } from '@countersign/core/codec'
import type { Milliseconds } from '@countersign/core/ports'
import { type EdhocInUse, edhocInUse } from '../../authority/edhocSetting.ts'
import { leafInUse } from '../../authority/serverLeaf.ts'
import { countTold } from '../../frontend/coap/told.ts'
import type { CertificateRow, Store } from '../../ports.ts'
import type { OwnCertificateDocument } from '../contract.ts'

export interface OwnCertificate
  extends Pick<OwnCertificateDocument, 'profile' | 'state' | 'kid' | 'told'> {
  readonly row: CertificateRow
}

type Rows = Pick<Store, 'get' | 'scan'>

export async function ownCertificates(
  store: Rows,
  now: Milliseconds,
): Promise<readonly OwnCertificate[]> {
  const leaf = await leafInUse(store)
  const edhoc = await edhocInUse(store)
  const tls = leaf === undefined ? [] : [ofTls(leaf)]
  return [...tls, ...(await Promise.all(edhoc.map((one) => ofEdhoc(store, now, one))))]
}

function ofTls(row: CertificateRow): OwnCertificate {
  return { profile: 'server', state: 'current', kid: null, told: null, row }
}

async function ofEdhoc(
  store: Rows,
  now: Milliseconds,
  { entry: { kind, state, kid }, row }: EdhocInUse,
): Promise<OwnCertificate> {
  const { fingerprint } = row
  const isNext = state === 'next'
  return {
    profile: kind === 'signature' ? 'server-edhoc-sign' : 'server-edhoc-dh',
    state: isNext ? 'next' : 'current',
    kid: hex(Uint8Array.of(kid)),
    told: isNext && fingerprint !== null ? await countTold(store, now, kind, fingerprint) : null,
    row,
  }
}
