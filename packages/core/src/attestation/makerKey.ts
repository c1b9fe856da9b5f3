/** What a maker's manifest says of one key of one element. */

export interface MakerKey {
  /** Of the element, lower-case hex. */
  readonly serial: string
  readonly slot: number
  /** X || Y. */
  readonly point: Uint8Array
  readonly partNumber: string
  /** SHA-256 of the certificate of who signed the manifest, hex. */
  readonly signer: string
  /** The signer of the manifest is an emulator's works. */
  readonly isEmulated: boolean
}

/**
 * Parts that leave the factory configured, with a slot whose key signs internal messages alone. A
 * manifest lists keys and says nothing of what they may sign, so of any other part no key is taken
 * for an attestation key. By the public descriptions; unconfirmed on silicon (U49).
 */
const attestationSlots: readonly (readonly [part: RegExp, slot: number])[] = [
  [/^ATECC608[A-C]-(?:TNG|TFLX)/, 1],
]

export function attestationSlotOf(partNumber: string): number | undefined {
  return attestationSlots.find(([part]) => part.test(partNumber))?.[1]
}
