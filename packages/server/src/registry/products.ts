/**
 * Products: the policy of a line of devices. The product `default` is made with the house, so that
 * a first device can enrol at once.
 */
import { CallerError } from '@countersign/core/errors'
import type { ProductRow } from '../ports.ts'
import { roads } from '../recordValues.ts'
import { euiNumber, isIndividual, randomBlock } from './addresses.ts'
import { auditEvent, commit, misuse, type RegistryParts, untilSettled } from './context.ts'

export const defaultProduct = 'default'

export type ProductPolicy = Omit<ProductRow, 'name' | 'euiNext' | 'createdAt' | 'version'>

const defaults: Omit<ProductPolicy, 'euiFirst' | 'euiLast'> = {
  credential: 'either',
  roads: JSON.stringify(roads),
  assuranceMin: 0,
  edhocSuiteMin: 2,
  validityDays: 90,
  renewalDays: 30,
  overlapDays: 7,
  serialPattern: '*',
  messagesPerMinute: 600,
}

/** Listed at once: an operator has tens of products, and a thousand is the limit. */
const productsMax = 1_000

export class Products {
  private readonly parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.parts = parts
  }

  all(): Promise<readonly ProductRow[]> {
    return this.parts.store.scan('product', { limit: productsMax })
  }

  async add(name: string, policy: Partial<ProductPolicy>, actor = 'operator'): Promise<ProductRow> {
    const block = policy.euiFirst === undefined ? randomBlock(this.parts) : undefined
    const row: ProductRow = {
      ...defaults,
      euiFirst: '',
      euiLast: '',
      ...block,
      ...policy,
      name,
      euiNext: policy.euiFirst ?? block?.euiFirst ?? '',
      createdAt: this.parts.clock.now(),
      version: 1,
    }
    const others = await this.all()
    if (others.some((other) => other.name === name)) throw exists(name)
    if (others.length >= productsMax)
      throw policyError(
        name,
        `there are ${productsMax} products already`,
        'Remove the need for one.',
      )
    checkPolicy(row, others)
    const write = { kind: 'insert', table: 'product', row } as const
    const condition = { kind: 'absent', table: 'product', key: name } as const
    await commit(
      this.parts,
      {
        conditions: [condition],
        writes: [write],
        events: [auditEvent(this.parts, 'product.added', name, actor, { ...policy, ...block })],
      },
      [{ kind: 'product', name }],
    )
    return row
  }

  set(name: string, policy: Partial<ProductPolicy>): Promise<ProductRow> {
    return untilSettled(async () => {
      const old = await this.one(name)
      const version = old.version + 1
      const changed = { ...old, ...policy, version }
      const row = { ...changed, euiNext: nextIn(changed) }
      checkPolicy(row, await this.all())
      const { euiNext } = old
      await commit(
        this.parts,
        {
          conditions: [
            {
              kind: 'equals',
              table: 'product',
              key: name,
              where: { version: old.version, euiNext },
            },
          ],
          writes: [
            {
              kind: 'update',
              table: 'product',
              key: name,
              set: { ...policy, euiNext: row.euiNext, version },
            },
          ],
          events: [auditEvent(this.parts, 'product.changed', name, 'operator', { ...policy })],
        },
        [{ kind: 'product', name }],
      )
      return row
    })
  }

  async one(name: string): Promise<ProductRow> {
    const row = await this.parts.store.get('product', name)
    if (row === undefined) throw misuse('ERR_PRODUCT_UNKNOWN', `there is no product ${name}`, name)
    return row
  }
}

export function roadsOf(product: ProductRow): readonly string[] {
  const value: unknown = JSON.parse(product.roads)
  return Array.isArray(value) ? value.filter((road) => typeof road === 'string') : []
}

/**
 * The next address stays where it is while it lies in the block; a new block begins at its
 * beginning.
 */
function nextIn(row: ProductRow): string {
  const next = euiNumber(row.euiNext)
  const inside = next >= euiNumber(row.euiFirst) && next <= euiNumber(row.euiLast) + 1n
  return inside ? row.euiNext : row.euiFirst
}

function checkPolicy(row: ProductRow, others: readonly ProductRow[]): void {
  const { name, euiFirst, euiLast } = row
  if (!isIndividual(euiFirst) || !isIndividual(euiLast) || euiNumber(euiFirst) > euiNumber(euiLast))
    throw policyError(
      name,
      `${euiFirst}..${euiLast} is not a block of EUI-64`,
      'Give the first and the last address, 16 hexadecimal digits each, without the group bit.',
    )
  if (row.renewalDays >= row.validityDays)
    throw policyError(
      name,
      `renewal ${row.renewalDays} days before the end of ${row.validityDays} would never stop`,
      'Let a certificate live longer than its renewal window.',
    )
  const named = roadsOf(row)
  const strange = named.find((road) => !roads.some((known) => known === road))
  if (strange !== undefined || named.length === 0)
    throw policyError(name, `"${strange ?? ''}" is not a road`, `Roads: ${roads.join(', ')}.`)
  for (const other of others) {
    const apart =
      other.name === name ||
      euiNumber(other.euiLast) < euiNumber(euiFirst) ||
      euiNumber(euiLast) < euiNumber(other.euiFirst)
    if (!apart)
      throw policyError(
        name,
        `its block overlaps that of product ${other.name}`,
        'Give another block.',
      )
  }
}

function policyError(
  where: string,
  message: string,
  hint: string,
): CallerError<'ERR_PRODUCT_POLICY'> {
  return new CallerError('ERR_PRODUCT_POLICY', message, {}, { where: `product ${where}`, hint })
}

function exists(name: string): CallerError {
  return misuse('ERR_PRODUCT_EXISTS', `product ${name} exists`, `product ${name}`)
}
