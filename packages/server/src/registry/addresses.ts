/**
 * EUI-64 addresses of a product's block. Taken from the store in runs and handed out from memory,
 * so that many enrolments at once do not wait for one counter. A run ends early where little is
 * left, and what is left of it goes back when the house closes: only a crash forgets a part, a
 * sixteenth of the block at most. The store's key still decides who has an address.
 */
import type { ProductRow } from '../ports.ts'
import { conflictOf, type RegistryParts, refusal, untilSettled } from './context.ts'

const runLengthMax = 64n
/** A run is no larger than this part of what is left. */
const runPart = 16n
/**
 * 2^24 addresses: enough for a product line, and 2^38 such blocks in the local space make a clash
 * of two houses unlikely.
 */
const blockBits = 24n

interface Run {
  next: bigint
  readonly end: bigint
  /** How many changes of products there had been when its row was read. */
  readonly readAt: number
}

export class Addresses {
  private readonly parts: RegistryParts
  private readonly runs = new Map<string, Run>()
  private readonly fetching = new Map<string, Promise<void>>()
  private changes = 0

  constructor(parts: RegistryParts) {
    this.parts = parts
    parts.notices.listen((notice) => {
      if (notice.kind === 'product') this.changes++
    })
  }

  /**
   * The next address. Another device may have asked for it by name: then the reservation meets a
   * conflict and asks `nextFree`.
   */
  async next(product: string): Promise<string> {
    for (;;) {
      const run = this.runs.get(product)
      if (run !== undefined && run.next < run.end && run.readAt === this.changes)
        return euiText(run.next++)
      await this.fetchOnce(product)
    }
  }

  async nextFree(product: string): Promise<string> {
    for (;;) {
      const eui64 = await this.next(product)
      if ((await this.parts.store.get('device', deviceId(eui64))) === undefined) return eui64
    }
  }

  /** Gives back what nobody was given. Where somebody has taken more since, it stays forgotten. */
  async close(): Promise<void> {
    await Promise.allSettled(this.fetching.values())
    const runs = [...this.runs]
    this.runs.clear()
    for (const [product, run] of runs) await this.giveBack(product, run)
  }

  private async giveBack(product: string, run: Run): Promise<void> {
    const row = await this.parts.store.get('product', product)
    if (row === undefined || run.next >= run.end || !isNewestOf(run, row)) return
    try {
      await this.advance(row, run.next)
    } catch (error) {
      if (conflictOf(error) === undefined) throw error
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
    const readAt = this.changes
    const row = await this.parts.store.get('product', product)
    if (row === undefined) throw refusal('ERR_PRODUCT_UNKNOWN', `there is no product ${product}`)
    // The product has changed, and its block may be the same.
    const run = this.runs.get(product)
    if (run !== undefined && run.next < run.end && isNewestOf(run, row))
      return void this.runs.set(product, { ...run, readAt })
    this.runs.delete(product)
    const next = euiNumber(row.euiNext)
    const left = euiNumber(row.euiLast) + 1n - next
    if (left <= 0n)
      throw refusal('ERR_EUI64_EXHAUSTED', `the block of product ${product} is used up`, {
        product,
        euiLast: row.euiLast,
      })
    const part = left / runPart
    const end = next + (part > runLengthMax ? runLengthMax : part > 1n ? part : 1n)
    await this.advance(row, end)
    this.runs.set(product, { next, end, readAt })
  }

  /** Holds only while the block is as it was read. */
  private async advance(
    { name, euiFirst, euiLast, euiNext }: ProductRow,
    next: bigint,
  ): Promise<void> {
    const where = { euiFirst, euiLast, euiNext }
    await this.parts.store.apply({
      conditions: [{ kind: 'equals', table: 'product', key: name, where }],
      writes: [{ kind: 'update', table: 'product', key: name, set: { euiNext: euiText(next) } }],
    })
  }
}

/** Nothing was taken after this run, and all of it lies in the block. */
function isNewestOf(run: Run, row: ProductRow): boolean {
  return (
    euiNumber(row.euiNext) === run.end &&
    run.next >= euiNumber(row.euiFirst) &&
    run.end <= euiNumber(row.euiLast) + 1n
  )
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
