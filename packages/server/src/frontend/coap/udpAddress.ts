/** How a peer of the UDP socket is called: `192.0.2.1:5683`, `[2001:db8::1]:5683`. */
import { addressKey, literalHost } from '../../address.ts'

export interface UdpPeer {
  readonly address: string
  readonly port: number
}

export function nameOf({ address, port }: UdpPeer): string {
  return `${literalHost(address)}:${port}`
}

/** Of a name that `nameOf` made. */
export function peerOf(name: string): UdpPeer {
  const at = name.lastIndexOf(':')
  return { address: hostOf(name), port: Number(name.slice(at + 1)) }
}

export function hostOf(name: string): string {
  return name.slice(0, name.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
}

/** What a peer counts as. */
export function hostKey(name: string): string {
  return addressKey(hostOf(name))
}
