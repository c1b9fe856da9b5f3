/**
 * Who a TCP peer is for counting: an IPv4 address, or the /64 of an IPv6 address, since a host
 * there owns the whole of it.
 */
import { isIPv6 } from 'node:net'

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
