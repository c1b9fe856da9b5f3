/** What a device must know of its server, whether somebody serves or not. */
import { parseCertificate } from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import { urlHost } from '../../address.ts'
import type { Services } from '../../compose/services.ts'
import { sha256 } from './documents.ts'

/** The doors as devices call them: the open ones, or those that `serve` would open. */
export function deviceUrls(house: Services): { readonly server: string; readonly mqtts: string } {
  return { server: doorUrl(house, 'https'), mqtts: doorUrl(house, 'mqtts') }
}

function doorUrl({ listeners, config }: Services, door: 'https' | 'mqtts'): string {
  const open = listeners[door]
  if (open !== undefined) return open
  const { host, port } = config.listen[door]
  return `${door}://${urlHost(host, config.hosts)}:${port}`
}

/** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, hex. */
export async function serverAnchor({ store }: Services): Promise<string> {
  const rows = await store.find('ca', 'role', 'server')
  const active = rows.find((row) => row.status === 'active')
  if (active === undefined) throw new InvariantError('ERR_CA_UNKNOWN', 'no server CA is active')
  return sha256(parseCertificate(active.der).spki.der)
}
