/**
 * Where a webhook may go. The server sits inside the operator's network: a URL, or a name whose
 * owner changes its address, must not make it knock at neighbours. https to public addresses; http
 * to this machine when the URL says so; more only for hosts that the operator's configuration
 * trusts by name.
 */
import { lookup as systemLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { CallerError, PeerError } from '@countersign/core/errors'
import { isLoopback } from '../address.ts'

export type WebhookErrorCode = 'ERR_WEBHOOK_URL' | 'ERR_WEBHOOK_TARGET'

const urlLengthMax = 2048

/** Special-purpose addresses that are nobody's public service (RFC 6890 and its registries). */
const inward = new BlockList()
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.88.99.0', 24], // the relays of 6to4, now nobody's (RFC 7526)
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  inward.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of [
  ['::', 96], // unspecified, loopback, IPv4-compatible
  ['64:ff9b::', 96], // NAT64: an IPv4 address in disguise, also a private one
  ['64:ff9b:1::', 48],
  ['::ffff:0:0:0', 96], // IPv4-translated (RFC 2765), the same
  ['100::', 64],
  ['2001::', 32], // Teredo, the same
  ['2002::', 16], // 6to4, the same
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  inward.addSubnet(net, prefix, 'ipv6')

export class WebhookTargets {
  readonly #trusted: ReadonlySet<string>
  readonly #lookup: typeof systemLookup

  /** Host names and addresses whose webhooks may be private, link-local or plain http. */
  constructor(trustedHosts: readonly string[], lookup: typeof systemLookup = systemLookup) {
    this.#trusted = new Set(trustedHosts.map((host) => bare(host.toLowerCase())))
    this.#lookup = lookup
  }

  /** Judges what an operator typed. */
  parse(text: string): URL {
    const url = text.length <= urlLengthMax ? URL.parse(text) : null
    if (url === null) throw badUrl('is not a URL')
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw badUrl('is neither https nor http')
    if (url.username !== '' || url.password !== '') throw badUrl('carries a user name or password')
    if (url.hash !== '') throw badUrl('has a fragment')
    const host = bare(url.hostname)
    if (url.protocol === 'http:' && !isLoopback(host) && !this.#trusted.has(host))
      throw badUrl(
        'is plain http beyond this machine',
        'Use https, or name the host in webhooks.trustedHosts of config.json.',
      )
    if (isIP(host) !== 0) this.#vet(host, host)
    return url
  }

  /** A look-up for one connection: the address that was judged is the one that is called. */
  readonly lookup: LookupFunction = (host, options, done) => {
    this.#lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, [])
      try {
        for (const { address } of found) this.#vet(bare(host), address)
      } catch (refused) {
        return done(refused instanceof Error ? refused : new Error(String(refused)), [])
      }
      const [first] = found
      if (options.all === true || first === undefined) return done(null, found)
      done(null, first.address, first.family)
    })
  }

  #vet(host: string, address: string): void {
    if (this.#trusted.has(host)) return
    // This machine, by a name that says so.
    if (isLoopback(host) && isLoopback(address)) return
    if (inward.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'))
      throw new PeerError(
        'ERR_WEBHOOK_TARGET',
        `${host} is at ${address}, which is no public address`,
        {},
        {
          where: 'webhook',
          hint: 'Name the host in webhooks.trustedHosts of config.json if it is meant.',
        },
      )
  }
}

/** A literal IPv6 address stands in brackets in a URL (RFC 3986 §3.2.2). */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

function badUrl(what: string, hint?: string): CallerError<WebhookErrorCode> {
  return new CallerError(
    'ERR_WEBHOOK_URL',
    `the webhook ${what}`,
    {},
    {
      where: 'webhook',
      hint: hint ?? 'For instance https://example.com/hook.',
    },
  )
}
