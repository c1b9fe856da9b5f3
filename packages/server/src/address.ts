/** Addresses and names of hosts: which are this machine's own, and what a peer counts as. */
import { BlockList, isIP, isIPv6 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Only this machine can reach it (RFC 6890 §2.2.2, §2.2.3; RFC 6761 §6.3). */
export function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4')
}

/**
 * How others call a door in a URL: by the first name that was given at `init` when it listens
 * beyond this machine. A literal IPv6 address stands in brackets (RFC 3986 §3.2.2).
 */
export function urlHost(bound: string, hosts: readonly string[]): string {
  if (isLoopback(bound)) return 'localhost'
  return literalHost(hosts.find((host) => !isLoopback(host)) ?? bound)
}

/** The same on UDP: nobody tries the other addresses of `localhost` when one does not answer. */
export function udpHost(bound: string, hosts: readonly string[]): string {
  return isLoopback(bound) ? literalHost(bound) : urlHost(bound, hosts)
}

export function literalHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/**
 * Who a peer of TCP or UDP is for counting: an IPv4 address, or the /64 of an IPv6 address, since a host
 * there owns the whole of it.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  const bare = address.split('%')[0] ?? address
  return isIPv6(bare) ? `${firstGroups(bare).join(':')}::/64` : address
}

/** The first four groups of an IPv6 text address, `::` expanded (RFC 4291 §2.2). */
function firstGroups(address: string): string[] {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  if (tail === undefined) return before.slice(0, 4).map(plain)
  const after = tail === '' ? [] : tail.split(':')
  // A dotted quad at the end stands for two groups.
  const width = after.length + (after.at(-1)?.includes('.') === true ? 1 : 0)
  const zeros = Math.max(0, 8 - before.length - width)
  return [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).map(plain)
}

function plain(group: string): string {
  return group.replace(/^0+(?=.)/, '').toLowerCase()
}
