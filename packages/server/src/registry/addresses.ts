/**
 * EUI-64 addresses of a product's block. Taken from the store in runs and handed out from memory,
 * so that many enrolments at once do not wait for one counter; a crash forgets at most one run of
 * the 2^24 addresses of a block. The store's key still decides who has an address.
 */
import type { ProductRow } from '../ports.ts'
import { type RegistryParts, refusal, untilSettled } from './context.ts'

const runLength = 64n
/**
 * 2^24 addresses: enough for a product line, and 2^38 such blocks in the local space make a clash
 * of two houses unlikely.
 */
const blockBits = 24n

interface Run {
  next: bigint
  end: bigint
}

export class Addresses {
  private readonly parts: RegistryParts
  private readonly runs = new Map<string, Run>()
  private readonly fetching = new Map<string, Promise<void>>()

  constructor(parts: RegistryParts) {
    this.parts = parts
    parts.notices.listen((notice) => {
      if (notice.kind === 'product') this.runs.delete(notice.name)
    })
  }

  /**
   * The next address. Another device may have asked for it by name: then the reservation meets a
   * conflict and asks `nextFree`.
   */
  async next(product: string): Promise<string> {
    for (;;) {
      const run = this.runs.get(product)
      if (run !== undefined && run.next < run.end) return euiText(run.next++)
      await this.fetchOnce(product)
    }
  }

  async nextFree(product: string): Promise<string> {
    for (;;) {
      const eui64 = await this.next(product)
      if ((await this.parts.store.get('device', deviceId(eui64))) === undefined) return eui64
    }
  }

  private fetchOnce(product: string): Promise<void> {
    const running = this.fetching.get(product)
    if (running !== undefined) return running
    const started = untilSettled(() => this.fetchRun(product)).finally(() => {
      this.fetching.delete(product)
    })
    this.fetching.set(product, started)
    return started
  }

  private async fetchRun(product: string): Promise<void> {
    const row = await this.parts.store.get('product', product)
    if (row === undefined) throw refusal('ERR_PRODUCT_UNKNOWN', `there is no product ${product}`)
    const next = euiNumber(row.euiNext)
    const last = euiNumber(row.euiLast)
    if (next > last)
      throw refusal('ERR_EUI64_EXHAUSTED', `the block of product ${product} is used up`, {
        product,
        euiLast: row.euiLast,
      })
    const end = next + runLength > last + 1n ? last + 1n : next + runLength
    await this.parts.store.apply({
      conditions: [
        {
          kind: 'equals',
          table: 'product',
          key: product,
          where: { euiNext: row.euiNext, euiLast: row.euiLast },
        },
      ],
      writes: [{ kind: 'update', table: 'product', key: product, set: { euiNext: euiText(end) } }],
    })
    this.runs.set(product, { next, end })
  }
}

export function deviceId(eui64: string): string {
  return `urn:dev:mac:${eui64}`
}

export function euiNumber(eui64: string): bigint {
  return BigInt(`0x${eui64}`)
}

function euiText(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}

/**
 * EUI-64 of one device: the group bit (the lowest of the first octet) is clear, and it is not the
 * null address.
 */
export function isIndividual(eui64: string): boolean {
  return (
    /^[0-9a-f]{16}$/.test(eui64) &&
    (Number.parseInt(eui64.slice(0, 2), 16) & 1) === 0 &&
    !/^0+$/.test(eui64)
  )
}

export function insideBlock(eui64: string, product: ProductRow): boolean {
  const value = euiNumber(eui64)
  return value >= euiNumber(product.euiFirst) && value <= euiNumber(product.euiLast)
}

/**
 * Locally administered (IEEE 802, U/L bit set), individual, at random: needs no registration and no
 * two houses share it.
 */
export function randomBlock(parts: RegistryParts): { euiFirst: string; euiLast: string } {
  const prefix = Uint8Array.from(parts.random.bytes(5))
  prefix[0] = ((prefix[0] ?? 0) & 0xfc) | 0x02
  const first = BigInt(`0x${Buffer.from(prefix).toString('hex')}`) << blockBits
  return { euiFirst: euiText(first), euiLast: euiText(first + (1n << blockBits) - 1n) }
}
