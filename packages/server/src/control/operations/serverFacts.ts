/** What a device must know of its server, whether somebody serves or not. */
import { parseCertificate } from '@countersign/core/credential'
import { InvariantError } from '@countersign/core/errors'
import { udpHost, urlHost } from '../../address.ts'
import type { Services } from '../../compose/services.ts'
import type { DoorName } from '../../config.ts'
import type { InviteDocument } from '../contract.ts'
import { sha256 } from './documents.ts'

/** The doors as devices call them: the open ones, or those that `serve` would open. */
export function deviceUrls(house: Services): Pick<InviteDocument, 'server' | 'mqtts' | 'coap'> {
  const [server, mqtts, coap] = [
    doorUrl(house, 'https'),
    doorUrl(house, 'mqtts'),
    doorUrl(house, 'coap'),
  ]
  return { server, mqtts, coap }
}

/** A datagram to the wrong one of a name's addresses fails silently: this machine is named by number. */
function doorHost(door: DoorName, host: string, { hosts }: Services['config']): string {
  return door === 'coap' ? udpHost(host, hosts) : urlHost(host, hosts)
}

function doorUrl({ listeners, config }: Services, door: Exclude<DoorName, 'console'>): string {
  const open = listeners[door]
  if (open !== undefined) return open
  const { host, port } = config.listen[door]
  return `${door}://${doorHost(door, host, config)}:${port}`
}

/** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, hex. */
export async function serverAnchor({ store }: Services): Promise<string> {
  const rows = await store.find('ca', 'role', 'server')
  const active = rows.find((row) => row.status === 'active')
  if (active === undefined) throw new InvariantError('ERR_CA_UNKNOWN', 'no server CA is active')
  return sha256(parseCertificate(active.der).spki.der)
}
