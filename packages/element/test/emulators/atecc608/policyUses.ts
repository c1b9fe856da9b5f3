/**
 * The commands in their modes, and each slot that one of them names or uses: the rows of the policy
 * tables. A row is a part on which the command does its work (or says why not: `answer`), so that a
 * table can change one bit of it. Signatures and MACs were computed with Python, over the number
 * A5…A5 or the nonce 00 01 … 1f.
 */
import type { Setup } from './packets.ts'
import {
  type Act,
  after,
  authorize4,
  block16,
  data,
  digestBuffer,
  fixedNonce,
  numbers32,
  point,
  randomNonce,
  sealedPrivWrite,
  sealedWrite,
  session4,
  signature,
  zeros32,
} from './policyRows.ts'

export interface Use extends Act {
  readonly what: string
  /** Whose bits are changed; absent when the command names no slot: then those of all are. */
  readonly slot: number | undefined
  readonly setup: Setup
  /** The same over a nonce of the host, where `before` has one of the chip. */
  readonly host?: Act
  /** What shows the effect, where the answer does not: the answer of the last is taken. */
  readonly probes?: readonly string[]
  /** `ok` is a status 00 or data. */
  readonly answer: string
  /** Uses that it counts as it stands. */
  readonly counts: 0 | 1
}

type More = Partial<Pick<Use, 'host' | 'probes' | 'answer' | 'counts'>> & Setup

const digestSlot = 10
const content: Readonly<Record<number, string>> = {
  ...data,
  6: '44'.repeat(32),
  7: data[5] ?? '',
  [digestSlot]: numbers32,
}
/** Private keys in 0 and 2, secrets in 1 and 4 to 7 (6 the IO protection key), a public key in 9. */
const slots = {
  0: ['8720', '3300'],
  1: ['8020', '1c00'],
  2: ['8744', '3300'],
  4: ['8020', '1c00'],
  5: ['8020', '1c00'],
  6: ['8020', '1c00'],
  7: ['8020', '1c00'],
  9: ['0000', '1000'],
  [digestSlot]: ['0000', '1c00'],
} as const
/** UseLock off with key 4, the latch by key 4, the IV of KDF, ChipOptions: IO key 6, KDF by AES. */
const config = { 68: '40', 69: '84', 72: '02', 73: 'aabb', 90: '0660' } as const

function use(what: string, slot: number | undefined, act: Act | string, more: More = {}): Use {
  const { host, probes, answer = 'ok', counts = 0, ...setup } = more
  return {
    what,
    slot,
    ...(typeof act === 'string' ? after([], act) : act),
    setup: {
      ...setup,
      slots: { ...slots, ...setup.slots },
      config: { ...config, ...setup.config },
      data: { ...content, ...setup.data },
    },
    ...(host === undefined ? {} : { host }),
    ...(probes === undefined ? {} : { probes }),
    answer,
    counts,
  }
}

const r = '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c'
/** Of slot 9 (33…33) over the chip's nonce. */
const overNonce = `${r}49df4443fbea94503845119cd9ef67831621eefd57718fdf45ccb3d4392fb5d9`
const other13 = '00'.repeat(13)
/** CheckMac under 44…44 over the chip's nonce, and under 60 … 7f over zeros, over it, over 00 … 1f. */
const shown44 = `${zeros32} 3c407391fea2a48612e22b776e0cbe9d9bb40a4eb008b2b06b5834292595fe78 ${other13}`
const shownZeros = `${zeros32} 3856a642758fcaaac28abb6ffef44beb851e3ad9f4608a48b50f342945637821 ${other13}`
const shownNonce = `${zeros32} 82664ef8fcc4a33b92fe4b673de38eb9afd411d9b7c1a45eb2bfaf2edbc1369b ${other13}`
const shownNumbers = `${zeros32} cb57c9cfe3c7012f5d4acfb1fbe804736aecce500c8e4ffdb9a5cbaa9681bbe4 ${other13}`
/** CheckMac under the chip's nonce itself, over zeros and over itself. */
const nonceZeros = `${zeros32} 2ace9e1b14d460348e5ea66c9da335f2bfc9b4ff10fa8178eeeef29f74204028 ${other13}`
const nonceTwice = `${zeros32} f3613c659ee2924f437cc0c9299cb44e30cc515bbecc67366a84bfa605db9fd5 ${other13}`
/** CheckMac over zeros with eight bytes of the one-time zone, FF, under 60 … 7f and the nonce. */
const shownZerosOtp = `${zeros32} d4c4618eab713758a6804a91105a33537a63a817e4b29061d9eabbb5e7bc503e ${other13}`
const nonceZerosOtp = `${zeros32} 361b946fae5e28318cde157373c2308931fc0b5481327210ac7a0d868a4f3930 ${other13}`

const point1 =
  'd65a93977caa3d1b081852ff57a79e465f1660577304baead505dd3a48589cf3' +
  '50185e895372df6221ea3a137557e473fddb6755f05bd507c3c533fce9c91285'
/** Slot 9 must be validated; its parent in 10 is the public key of 22…22. */
const family: Setup = {
  slots: { 9: ['0a10', '1200'], 10: ['0000', '1000'] },
  data: { 10: `00000000${point1.slice(0, 64)}00000000${point1.slice(64)}` },
}
const digest9 = '40 10 0900 000900'
const validate: Act = after(
  [randomNonce, digest9],
  `45 03 0900 ${r}14e52daae5a3e22082a4639247dee4fbbed630dbc680b97d33541b4d66e72c23` +
    '00010000000000490000 00000000 0000 01 00 00',
)
const invalidate: Act = after(
  [randomNonce, digest9],
  `45 07 0900 ${r}3389953567bbb52942453f233db0c993394c9151cc6e14c3b9309c54f93c774a` +
    '01010000000000490000 00000000 0000 01 01 00',
)
const validateHost: Act = after(
  [fixedNonce, digest9],
  `45 03 0900 ${r}9cdfaf8d439f17f56d80bbbfe9f92b72b2f3d687afd5d75dbb2b1eddb8d8b3ca` +
    '00010000000000590000 00000000 0000 01 00 00',
)
const invalidateHost: Act = after(
  [fixedNonce, digest9],
  `45 07 0900 ${r}11f1872f23f745ee85826ae192d40b56672223fe2cf6844a75abc7e3465ee93c` +
    '01010000000000590000 00000000 0000 01 01 00',
)

/** MACs of DeriveKey for slot 6 under slot 4: `1c 00 0600` and `1c 04 0600`. */
const rollMac = 'cedc41e08529a98df17db16706b8b536aa9ec4b7b71f9571ff26d47ec826e0b2'
const rollMacHost = '5d6f43e05575b8c6c60c543e4a8f89a57b062edeafbcbc7190ded9c26764a029'
const rollsWithMac: More = {
  slots: { 6: ['80a4', '1c00'] },
  data: { 6: '66'.repeat(32) },
  host: after([fixedNonce], `1c 04 0600 ${rollMacHost}`),
}
const creates: More = {
  slots: { 6: ['8034', '1c00'] },
  data: { 6: '66'.repeat(32) },
  host: after([fixedNonce], '1c 04 0600'),
}

/** SecureBoot bytes 70 and 71: what is kept; the slot of that, 10, and of the key, 9. */
const bootWith = (low: string, more: Setup = {}): More => ({
  ...more,
  config: { 70: `${low}9a` },
})
const fullSig = bootWith('02', { data: { [digestSlot]: signature } })
const fullDig = bootWith('03')
const firmwareSealed =
  '2fa331aeb63a6ee32feaecaeca0d222cb0cd069e8399583c42d2d143461615e3' +
  `${r}b911a3e3d5a4fe37af346e748d326d6e85b256b4999cfdde78b8ed67b9695f98`

const clear33 = `00000000${'33'.repeat(32)}${zeros32}`
const aes5: Setup = { slots: { 5: ['8020', '1800'] } }
const overRandom = (command: string): Act => after([randomNonce], command)
const overFixed = (command: string): Act => after([fixedNonce], command)

/** Each names the slot whose bits are changed. */
const slotUses: readonly Use[] = [
  use('Info 01, a private key', 0, '30 01 0000', { answer: '01000000' }),
  use('Info 01, a public key', 9, '30 01 0900', { answer: '01000000' }),

  use('GenKey 04', 0, '40 04 0000'),
  use('GenKey 04, data open', 0, '40 04 0000', { locks: 'config', slots: { 0: ['8700', '3300'] } }),
  use('GenKey 0C', 0, overRandom('40 0c 0000'), { host: overFixed('40 0c 0000') }),
  use('GenKey 00', 0, '40 00 0000'),
  use('GenKey 08', 0, overRandom('40 08 0000'), { host: overFixed('40 08 0000') }),
  use('GenKey 10', 9, overRandom(digest9), { host: overFixed(digest9) }),

  use('Sign 80', 0, overRandom('41 80 0000'), { host: overFixed('41 80 0000') }),
  use('Sign A0', 0, after([digestBuffer], '41 a0 0000')),
  use('Sign 00', 0, after(session4, '41 00 0000'), {
    host: after([fixedNonce, '15 02 0400'], '41 00 0000'),
  }),

  use('Verify 00', 9, overRandom(`45 00 0900 ${overNonce}`), {
    host: overFixed(`45 00 0900 ${signature}`),
  }),
  use('Verify 20', 9, after([randomNonce, digestBuffer], `45 20 0900 ${signature}`)),
  use('Verify 03', 9, validate, { ...family, host: validateHost }),
  use('Verify 03, the parent', 10, validate, { ...family, host: validateHost }),
  use('Verify 07', 9, invalidate, { ...family, host: invalidateHost }),
  use('Verify 07, the parent', 10, invalidate, { ...family, host: invalidateHost }),
  use(
    'Verify 82, IO key',
    6,
    after([randomNonce, digestBuffer], `45 82 0400 ${overNonce}${point}`),
  ),

  use('ECDH 0C', 0, `43 0c 0000 ${point}`),
  use('ECDH 08', 0, `43 08 0000 ${point}`),
  use('ECDH 04', 0, `43 04 0000 ${point}`),
  use('ECDH 04, the target', 1, `43 04 0000 ${point}`),
  use('ECDH 00, kept inside', 0, `43 00 0000 ${point}`, { slots: { 0: ['8f20', '3300'] } }),
  use('ECDH 0E, IO key', 6, `43 0e 0000 ${point}`),
  use('ECDH 0F, IO key', 6, after(['40 04 ffff'], `43 0f 0000 ${point}`)),
  use('ECDH 05, the target', 1, after(['40 04 ffff'], `43 05 0100 ${point}`)),

  use('SHA 03', 9, after(['47 00 0000'], '47 03 0900')),
  use('SHA 04', 5, '47 04 0500'),
  use('AES 00', 5, `51 00 0500 ${block16}`, aes5),
  use('AES 01', 5, `51 01 0500 ${block16}`, aes5),

  use('KDF 12', 5, '56 12 0500 01000001 00'),
  use('KDF 52', 5, '56 52 0500 02000001 00'),
  use('KDF 32', 5, `56 32 0500 00000010 ${block16}`, aes5),
  use('KDF 50, the message', 5, overRandom('56 50 0000 00050020'), {
    host: overFixed('56 50 0000 00050020'),
  }),
  use('KDF 48, the target', 1, overRandom('56 48 0001 02000001 00')),
  use('KDF 54, IO key', 6, overRandom('56 54 0000 02000001 00')),

  use('MAC 00', 5, overRandom(`08 00 0500 ${numbers32}`)),
  use('MAC 01', 5, overRandom('08 01 0500'), { host: overFixed('08 05 0500') }),
  use('CheckMac 00', 5, overRandom(`28 00 0500 ${shownZeros}`)),
  use('CheckMac 20', 5, overRandom(`28 20 0500 ${shownZerosOtp}`)),
  use('CheckMac 01', 5, overRandom(`28 01 0500 ${shownNonce}`), {
    host: overFixed(`28 05 0500 ${shownNumbers}`),
  }),
  use('CheckMac 01, copy: the shown', 6, overRandom(`28 01 0600 ${shown44}`), {
    probes: [`08 06 0000 ${numbers32}`],
  }),
  use('CheckMac 01, copy: the copied', 7, overRandom(`28 01 0600 ${shown44}`), {
    probes: [`08 06 0000 ${numbers32}`],
  }),
  use('GenDig 02', 5, overRandom('15 02 0500'), { host: overFixed('15 02 0500') }),
  use('GenDig 05', 5, overRandom('15 05 0500'), { probes: ['47 04 ffff', '47 c2 0000'] }),

  use('Read 82', 5, '02 82 2800', { slots: { 5: ['0000', '1c00'] } }),
  use('Read 02', 5, '02 02 2800', { slots: { 5: ['0000', '1c00'] } }),
  use('Read 82, encrypted', 5, after(session4, '02 82 2800'), {
    slots: { 5: ['c400', '1c00'] },
  }),
  use('Write 82', 5, `12 82 2800 ${zeros32}`, { slots: { 5: ['0000', '1c00'] } }),
  use('Write 02', 5, '12 02 2800 00000000', { slots: { 5: ['0000', '1c00'] } }),
  use('Write 82, data open', 5, `12 82 2800 ${zeros32}`, {
    slots: { 5: ['8080', '1c00'] },
    locks: 'config',
  }),
  use('Write 02, data open', 5, '12 02 2800 00000000', {
    slots: { 5: ['8080', '1c00'] },
    locks: 'config',
    answer: '0f',
  }),
  use('Write 82, the last block', 5, `12 82 2801 ${zeros32}`, {
    slots: { 5: ['8080', '1c00'] },
    locks: 'config',
  }),
  use('Write C2', 5, after(session4, sealedWrite), { slots: { 5: ['8044', '1c00'] } }),

  use('PrivWrite 00, data open', 2, `46 00 0200 ${clear33}`, {
    slots: { 2: ['8704', '3300'] },
    locks: 'config',
  }),
  use('PrivWrite 40', 2, after(session4, sealedPrivWrite)),
  use('Lock 82', 5, '17 96 0000', { slots: { 5: ['8020', '3c00'] } }),

  use('DeriveKey 00, roll', 5, overRandom('1c 00 0500'), {
    slots: { 5: ['8024', '1c00'] },
    host: overFixed('1c 04 0500'),
  }),
  use('DeriveKey 00, roll by MAC', 6, overRandom(`1c 00 0600 ${rollMac}`), rollsWithMac),
  use('DeriveKey 00, key of the MAC', 4, overRandom(`1c 00 0600 ${rollMac}`), rollsWithMac),
  use('DeriveKey 00, create', 6, overRandom('1c 00 0600'), creates),
  use('DeriveKey 00, the parent', 4, overRandom('1c 00 0600'), creates),

  use('SecureBoot 05', 9, overRandom(`80 05 0000 ${numbers32}${signature}`), {
    ...bootWith('01'),
    host: overFixed(`80 05 0000 ${numbers32}${signature}`),
  }),
  use('SecureBoot 06, FullSig', 9, overRandom(`80 06 0000 ${numbers32}`), {
    ...fullSig,
    host: overFixed(`80 06 0000 ${numbers32}`),
  }),
  use('SecureBoot 06, kept signature', 10, overRandom(`80 06 0000 ${numbers32}`), {
    ...fullSig,
    host: overFixed(`80 06 0000 ${numbers32}`),
  }),
  use('SecureBoot 06, kept digest', 10, overRandom(`80 06 0000 ${numbers32}`), {
    ...fullDig,
    host: overFixed(`80 06 0000 ${numbers32}`),
  }),
  use('SecureBoot 07', 9, overRandom(`80 07 0000 ${numbers32}${signature}`), {
    ...fullDig,
    host: overFixed(`80 07 0000 ${numbers32}${signature}`),
  }),
  use('SecureBoot 07, kept digest', 10, overRandom(`80 07 0000 ${numbers32}${signature}`), {
    ...fullDig,
    host: overFixed(`80 07 0000 ${numbers32}${signature}`),
  }),
  use('SecureBoot 85, IO key', 6, overRandom(`80 85 0000 ${firmwareSealed}`), {
    config: { 70: '019a' },
  }),
  use('UpdateExtra 02', 5, '20 02 0500', { slots: { 5: ['a020', '1c00'] }, counts: 1 }),
]

/** Each names no slot, or only a number that stands in a message. */
const slotlessUses: readonly Use[] = [
  use('Info 00', undefined, '30 00 0000', { answer: '00006002' }),
  use('Info 02', undefined, '30 02 0000', { answer: '00000000' }),
  use('Info 03', undefined, '30 03 0000', { answer: '0f' }),
  use('Info 04, read', undefined, '30 04 0000', { answer: '00000000' }),
  use('Info 04, set', undefined, after(authorize4, '30 04 0300'), { answer: '00000000' }),
  use('Info 04, clear', undefined, '30 04 0200', { answer: '00000000' }),
  use('Random 00', undefined, '1b 00 0000'),
  use('Nonce 00', undefined, randomNonce),
  use('Nonce 03', undefined, fixedNonce),
  use('Nonce 43', undefined, digestBuffer),
  use('GenKey 04, ephemeral', undefined, '40 04 ffff'),
  use('Verify 02', undefined, overRandom(`45 02 0400 ${overNonce}${point}`), {
    host: overFixed(`45 02 0400 ${signature}${point}`),
  }),
  use('ECDH 0D', undefined, after(['40 04 ffff'], `43 0d 0000 ${point}`)),
  use('ECDH 09', undefined, after(['40 04 ffff'], `43 09 0000 ${point}`)),
  use('SHA 00', undefined, '47 00 0000'),
  use('SHA 01', undefined, after(['47 00 0000'], '47 01 0100 61')),
  use('SHA 02', undefined, after(['47 00 0000'], '47 c2 0100 61')),
  use('SHA 04, TempKey', undefined, overRandom('47 04 ffff'), { host: overFixed('47 04 ffff') }),
  use('SHA 06', undefined, after(['47 00 0000'], '47 06 0000')),
  use('SHA 07', undefined, `47 07 2800 ${'00'.repeat(40)}`),
  use('AES 00, TempKey', undefined, overRandom(`51 00 ffff ${block16}`), {
    host: overFixed(`51 00 ffff ${block16}`),
  }),
  use('AES 03', undefined, `51 03 0000 ${block16}${block16}`),
  use('KDF 10', undefined, overRandom('56 10 0000 01000001 00')),
  use('KDF 30', undefined, overRandom(`56 30 0000 00000010 ${block16}`)),
  use('KDF 40', undefined, overRandom('56 40 0000 02000001 00')),
  use('KDF 44', undefined, overRandom('56 44 0000 02000001 00')),
  use('KDF 4C', undefined, overRandom('56 4c 0000 02000001 00')),
  use('KDF 50', undefined, overRandom('56 50 0000 02000001 00'), {
    host: overFixed('56 50 0000 02000001 00'),
  }),
  use('KDF 50, with IV', undefined, overRandom('56 50 0000 03000005 0001aabb04')),
  use('KDF 53', undefined, after([`16 83 0000 ${numbers32}`], '56 53 0000 02000001 00')),
  use('MAC 02', undefined, overRandom(`08 02 0500 ${numbers32}`), {
    host: overFixed(`08 06 0500 ${numbers32}`),
  }),
  use('MAC 03', undefined, overRandom('08 03 0500'), { host: overFixed('08 07 0500') }),
  use('CheckMac 02', undefined, overRandom(`28 02 0500 ${nonceZeros}`)),
  use('CheckMac 22', undefined, overRandom(`28 22 0500 ${nonceZerosOtp}`)),
  use('CheckMac 03', undefined, overRandom(`28 03 0500 ${nonceTwice}`)),
  use('GenDig 00', undefined, overRandom('15 00 0000')),
  use('GenDig 01', undefined, overRandom('15 01 0000')),
  use('GenDig 03', undefined, overRandom(`15 03 0000 ${numbers32}`)),
  use('GenDig 04', undefined, overRandom('15 04 0000')),
  use('Read 80', undefined, '02 80 0000'),
  use('Read 81', undefined, '02 81 0000'),
  use('Write 00', undefined, '12 00 0500 8320ffff', { locks: 'none' }),
  use('Write 80', undefined, `12 80 1800 ${zeros32}`, { locks: 'none' }),
  use('Write 80, the first block', undefined, `12 80 0000 ${zeros32}`, {
    locks: 'none',
    answer: '0f',
  }),
  use('Write 00, before byte 16', undefined, '12 00 0300 00000000', {
    locks: 'none',
    answer: '0f',
  }),
  use('Write 80, with the locks', undefined, `12 80 1000 ${zeros32}`, {
    locks: 'none',
    answer: '0f',
  }),
  use('Write 00, the locks', undefined, '12 00 1500 00000000', { locks: 'none', answer: '0f' }),
  use('Write C0', undefined, `12 c0 0800 ${zeros32}${zeros32}`, { locks: 'none', answer: '0f' }),
  use('Write 81', undefined, `12 81 0000 ${zeros32}`, { locks: 'config' }),
  use('Write 01', undefined, '12 01 0000 00000000', { locks: 'config', answer: '0f' }),
  use('Write C1', undefined, after([], `12 c1 0000 ${zeros32}${zeros32}`), {
    locks: 'config',
    answer: '0f',
  }),
  use('Lock 80', undefined, '17 80 0000', { locks: 'none' }),
  use('Lock 81', undefined, '17 81 0000', { locks: 'config' }),
  use('Counter 00', undefined, '24 00 0100'),
  use('Counter 01', undefined, '24 01 0100'),
  use('SelfTest 01', undefined, '77 01 0000'),
  use('UpdateExtra 00', undefined, '20 00 0100'),
  use('UpdateExtra 01', undefined, '20 01 0100'),
]

export const uses: readonly Use[] = [...slotUses, ...slotlessUses]
