/**
 * One element is in one device: what a reservation takes of an element. A claim of level 3 takes the
 * serial number itself. One that is worth less takes it in the name of its voucher, so that an
 * emulator, which may have any serial number, stands in no chip's way; and what was claimed by the
 * word of an anchor that is gone, or gives less now, gives way to a claim of level 3.
 */
import type { Condition, DeviceRow, ElementRow, EventDraft, Write } from '../ports.ts'
import { auditEvent, type RegistryParts, refusal } from './context.ts'
import type { ElementClaim } from './reservationRows.ts'
import type { Vouchers } from './vouchers.ts'

/** Its part of the Change that reserves. */
export interface Claimed {
  readonly conditions: readonly Condition[]
  readonly writes: readonly Write[]
  readonly events: readonly EventDraft[]
}

const nothing: Claimed = { conditions: [], writes: [], events: [] }

export class ElementClaims {
  private readonly parts: RegistryParts
  private readonly vouchers: Vouchers

  constructor(parts: RegistryParts, vouchers: Vouchers) {
    this.parts = parts
    this.vouchers = vouchers
  }

  /** As if nobody had claimed it: the store knows better, and then `again` does. */
  first(element: ElementClaim | undefined, device: DeviceRow): Claimed {
    if (element === undefined) return nothing
    const { claim, kind, voucher } = element
    const row = { claim, kind, device: device.id, createdAt: this.parts.clock.now(), voucher }
    return { ...nothing, writes: [{ kind: 'insert', table: 'element', row }] }
  }

  /** Throws PeerError ERR_ELEMENT_USED for the element of another device. */
  async again(element: ElementClaim | undefined, device: DeviceRow): Promise<Claimed> {
    if (element === undefined) return nothing
    const known = await this.parts.store.get('element', element.claim)
    if (known === undefined) return this.first(element, device)
    if (known.device === device.id) return this.kept(known, element)
    if (!(await this.givesWay(known, element)))
      throw refusal('ERR_ELEMENT_USED', 'the secure element belongs to another device')
    const data = { element: element.serial, from: known.device, voucher: element.voucher }
    const event = auditEvent(this.parts, 'element.moved', device.id, 'system', data)
    return { ...moved(known, { device: device.id, voucher: element.voucher }), events: [event] }
  }

  /** Who vouched last is who the claim stands by. */
  private kept(known: ElementRow, { voucher }: ElementClaim): Claimed {
    return known.voucher === voucher ? nothing : moved(known, { device: known.device, voucher })
  }

  /** Among those that are worth less, as among those of level 3, the first one stays. */
  private async givesWay(known: ElementRow, { claim, serial }: ElementClaim): Promise<boolean> {
    if (claim !== serial) return false
    const { assurance } = await this.vouchers.worth({ assurance: 3, voucher: known.voucher })
    return assurance < 3
  }
}

function moved(
  { claim, device, voucher }: ElementRow,
  set: Pick<ElementRow, 'device' | 'voucher'>,
): Claimed {
  return {
    conditions: [{ kind: 'equals', table: 'element', key: claim, where: { device, voucher } }],
    writes: [{ kind: 'update', table: 'element', key: claim, set }],
    events: [],
  }
}
