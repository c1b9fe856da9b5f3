/**
 * Rows of the policy tests: a part as it is configured and locked, a command behind what it needs,
 * and the answer. `ok` is a status 00 or data.
 */
import assert from 'node:assert/strict'
import { ask, chipOn, memory, type Setup } from './packets.ts'

export interface Act {
  readonly before: readonly string[]
  readonly command: string
}

export interface Row extends Act {
  readonly what: string
  readonly setup: Setup
  readonly expect: string
}

export function row(what: string, setup: Setup, act: Act | string, expect: string): Row {
  return { what, setup, expect, ...(typeof act === 'string' ? after([], act) : act) }
}

export function after(before: readonly string[], command: string): Act {
  return { before, command }
}

export const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
export const zeros32 = '00'.repeat(32)
export const block16 = '00112233445566778899aabbccddeeff'
export const point =
  '51a7580833898ea1b183cbd7350a4099078c6ef1c1e18e970cd7683035f25e7d' +
  '0110522712b0b5a7cff081685486984a94e6831edac46e7360fa9d834a7a81a1'
/** Of that point's key (33…33), over 00 01 … 1f. */
export const signature =
  '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c' +
  'be3214bc97db4f96fb327063021bd17e9bd7ba89b243779100e3f4fd13a83361'

export const fixedNonce = `16 03 0000 ${numbers32}`
export const randomNonce = `16 00 0000 ${'00'.repeat(20)}`
export const digestBuffer = `16 43 0000 ${numbers32}`
export const session4 = [randomNonce, '15 02 0400']
/** CheckMac of slot 4 (44…44) over the chip's nonce. */
export const authorize4 = [
  randomNonce,
  `28 01 0400 ${zeros32} 3c407391fea2a48612e22b776e0cbe9d9bb40a4eb008b2b06b5834292595fe78 ${'00'.repeat(13)}`,
]

export const key4 = { 4: ['8020', '1c00'] } as const
export const data: Readonly<Record<number, string>> = {
  0: `00000000${'11'.repeat(32)}`,
  4: '44'.repeat(32),
  5: '606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f',
  9: `00000000${point.slice(0, 64)}00000000${point.slice(64)}`,
}

/** Slot 0 is the private key under test. */
export function privateKey(slotConfig: string, keyConfig = '3300', more: Setup = {}): Setup {
  return { data, ...more, slots: { 0: [slotConfig, keyConfig], ...key4, ...more.slots } }
}

/** Slot 5 is the secret or the data under test. */
export function secret(slotConfig: string, keyConfig = '1c00', more: Setup = {}): Setup {
  return { data, ...more, slots: { 5: [slotConfig, keyConfig], ...key4, ...more.slots } }
}

/** Slot 9 is the public key under test. */
export function publicKey(slotConfig: string, keyConfig: string, more: Setup = {}): Setup {
  return { data, ...more, slots: { 9: [slotConfig, keyConfig], ...key4, ...more.slots } }
}

export const ecdhToBus = after([], `43 0c 0000 ${point}`)
export const clearRead = after([], '02 82 2800')
export const sessionRead = after(session4, '02 82 2800')
export const genDig5 = after([fixedNonce], '15 02 0500')

/** 60 61 … 7f for slot 5, and the scalar 33…33 for slot 2, under the session of slot 4. */
export const sealedWrite =
  '12 c2 2800 cdcdb8f538db8cd3fd15402039ea847df391099ed752075fb4d5888b1a1cc406' +
  '54c64c1070d51580ac67dd770762e0180ae7f75956ed56793cbff7c6e95c07be'
export const sealedPrivWrite =
  '46 40 0200 adacda966f8dd987a64f197866b4d921b0d348de9014421bff9fc1c35552894a9ceba659' +
  'b0da1d46cb5392c9736b697883c133a4e89ae66d316fe85ca3be33f04f2b1027'

export function checkRows(rows: readonly Row[]): void {
  assert.ok(rows.length > 0)
  for (const { what, setup, before, command, expect } of rows) {
    const chip = chipOn(memory(setup))
    for (const step of before) {
      const answer = ask(chip, step)
      // A step that only a locked chip takes is part of the row's refusal.
      if (setup.locks === undefined) assert.ok(isOk(answer), `${what}: ${step} answered ${answer}`)
    }
    const answer = ask(chip, command)
    assert.equal(isOk(answer) && expect === 'ok' ? 'ok' : answer, expect, what)
  }
}

export function isOk(answer: string): boolean {
  return answer === '00' || answer.length > 2
}
