/** What a device must know of its server, whether somebody serves or not. */
import { parseCertificate } from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import { urlHost } from '../../address.ts'
import type { Services } from '../../compose/services.ts'
import { sha256 } from './documents.ts'

/** The https door as devices call it: the open one, or the one that `serve` would open. */
export function deviceUrl({ listeners, config }: Services): string {
  const open = listeners['https']
  if (open !== undefined) return open
  const { host, port } = config.listen.https
  return `https://${urlHost(host, config.hosts)}:${port}`
}

/** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, hex. */
export async function serverAnchor({ store }: Services): Promise<string> {
  const rows = await store.find('ca', 'role', 'server')
  const active = rows.find((row) => row.status === 'active')
  if (active === undefined) throw new InvariantError('ERR_CA_UNKNOWN', 'no server CA is active')
  return sha256(parseCertificate(active.der).spki.der)
}
