/** The certificates that the server itself shows: of TLS, and of EDHOC with what follows them. */
import { hex } from '@countersign/core/codec'
import { edhocInUse } from '../../authority/edhocSetting.ts'
import { leafInUse } from '../../authority/serverLeaf.ts'
import type { CertificateRow, Store } from '../../ports.ts'
import type { OwnCertificateDocument } from '../contract.ts'

export interface OwnCertificate extends Pick<OwnCertificateDocument, 'profile' | 'state' | 'kid'> {
  readonly row: CertificateRow
}

export async function ownCertificates(
  store: Pick<Store, 'get'>,
): Promise<readonly OwnCertificate[]> {
  const leaf = await leafInUse(store)
  const edhoc = await edhocInUse(store)
  return [
    ...(leaf === undefined
      ? []
      : [{ profile: 'server', state: 'current', kid: null, row: leaf } as const]),
    ...edhoc.map(
      ({ entry: { kind, state, kid }, row }) =>
        ({
          profile: kind === 'signature' ? 'server-edhoc-sign' : 'server-edhoc-dh',
          state: state === 'next' ? 'next' : 'current',
          kid: hex(Uint8Array.of(kid)),
          row,
        }) as const,
    ),
  ]
}
