/**
 * What can be changed about a part on which a command works: the bits of SlotConfig and KeyConfig,
 * the locks, and the options of the chip: the columns of the policy tables.
 *
 * A bit is changed behind what the command needs, past the commands, also where a part could not
 * come there: so a refusal is the command's own, not that of the steps before it.
 */
import { fromHex } from '@countersign/core/codec'
import type { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'
import { authorize4 } from './policyRows.ts'
import type { Use } from './policyUses.ts'

export interface State {
  readonly name: string
  /** Why a command with a dot in this column does not read it. */
  readonly elsewhere: string
  /** First of all, before what the command needs. */
  readonly before?: readonly string[]
  /** TempKey is the host's then, where the command has one. */
  readonly ofHost?: boolean
  readonly put: (memory: Eeprom, use: Use) => void
}

function slotsOf({ slot }: Use): readonly number[] {
  return slot === undefined ? Array.from({ length: 16 }, (_, index) => index) : [slot]
}

function word(memory: Eeprom, offset: number): number {
  return memory.byte('config', offset) | (memory.byte('config', offset + 1) << 8)
}

/** In a little-endian word of each slot: these bits are cleared, then those are turned over. */
function change(table: number, clear: number, turn: number): State['put'] {
  return (memory, use) => {
    for (const slot of slotsOf(use)) {
      const value = (word(memory, table + 2 * slot) & ~clear) ^ turn
      memory.write('config', table + 2 * slot, Uint8Array.of(value & 0xff, value >> 8))
    }
  }
}

const slotConfigAt = 20
const keyConfigAt = 96
const turnSlotConfig = (bits: number): State['put'] => change(slotConfigAt, 0, bits)
const turnKeyConfig = (bits: number): State['put'] => change(keyConfigAt, 0, bits)
const keyType = (type: number): State['put'] => change(keyConfigAt, 0x1c, type << 2)
const limitUse = change(slotConfigAt, 0x20, 0x20)

function byte(offset: number, text: string): State['put'] {
  return (memory) => memory.write('config', offset, fromHex(text))
}

function both(...puts: readonly State['put'][]): State['put'] {
  return (memory, use) => {
    for (const put of puts) put(memory, use)
  }
}

/** CountMatch on, of slot 8, where zero stands. */
const noUsesLeft: State['put'] = (memory) => {
  memory.write('config', 18, fromHex('81'))
  memory.write(8, 0, new Uint8Array(8))
}

const readKey =
  'ReadKey is read for uses of a private key, Read, the parent in Verify, and the copy of CheckMac'
const limited =
  'LimitedUse counts the key that a command computes with, and no command that makes, shows, stores or reads'
const reading = 'IsSecret and EncryptRead are read by Read alone'
const writing =
  'WriteKey and WriteConfig say who may change a slot, and this does not, or by another rule'

export const slotConfigStates: readonly State[] = [
  { name: 'ReadKey bit 0 turned', elsewhere: readKey, put: turnSlotConfig(0x0001) },
  { name: 'ReadKey bit 1 turned', elsewhere: readKey, put: turnSlotConfig(0x0002) },
  { name: 'ReadKey bit 2 turned', elsewhere: readKey, put: turnSlotConfig(0x0004) },
  { name: 'ReadKey bit 3 turned', elsewhere: readKey, put: turnSlotConfig(0x0008) },
  {
    name: 'NoMac',
    elsewhere: 'NoMac is read by MAC, CheckMac, HMAC and GenDig alone',
    put: turnSlotConfig(0x0010),
  },
  { name: 'LimitedUse, uses left', elsewhere: limited, put: limitUse },
  { name: 'LimitedUse, none left', elsewhere: limited, put: both(limitUse, noUsesLeft) },
  {
    name: 'no LimitedUse, none left',
    elsewhere: 'without LimitedUse Counter0 limits nothing',
    put: both(change(slotConfigAt, 0x20, 0), noUsesLeft),
  },
  { name: 'EncryptRead turned', elsewhere: reading, put: turnSlotConfig(0x0040) },
  { name: 'IsSecret turned', elsewhere: reading, put: turnSlotConfig(0x0080) },
  { name: 'WriteKey turned', elsewhere: writing, put: turnSlotConfig(0x0100) },
  { name: 'WriteConfig bit 0 turned', elsewhere: writing, put: turnSlotConfig(0x1000) },
  { name: 'WriteConfig bit 1 turned', elsewhere: writing, put: turnSlotConfig(0x2000) },
  { name: 'WriteConfig bit 2 turned', elsewhere: writing, put: turnSlotConfig(0x4000) },
  { name: 'WriteConfig bit 3 turned', elsewhere: writing, put: turnSlotConfig(0x8000) },
]

/** The mark of a public key (type 4, not private) that was validated; other content has none. */
const validated: State['put'] = (memory, { slot }) => {
  if (slot !== undefined && (word(memory, keyConfigAt + 2 * slot) & 0x1d) === 0x10) {
    memory.write(slot, 0, fromHex('50'))
  }
}

const pubInfo = 'PubInfo is read where a public key is told or verified with'
const typed = 'what is in the slot need not be of a type'
const random =
  'ReqRandom is read by GenKey with digest, MAC, CheckMac, Verify, DeriveKey and GenDig alone'
const auth = 'ReqAuth is read where a key is used, told, read or written'
const latch =
  'PersistentDisable is read where a key is used or read, and GenKey and Write are neither'

export const keyConfigStates: readonly State[] = [
  {
    name: 'Private turned',
    elsewhere: 'what is in the slot may be either',
    put: turnKeyConfig(0x0001),
  },
  { name: 'PubInfo turned', elsewhere: pubInfo, put: turnKeyConfig(0x0002) },
  {
    name: 'PubInfo, validated',
    elsewhere: pubInfo,
    put: both(change(keyConfigAt, 2, 2), validated),
  },
  { name: 'type 4', elsewhere: typed, put: keyType(4) },
  { name: 'type 6', elsewhere: typed, put: keyType(6) },
  { name: 'type 7', elsewhere: typed, put: keyType(7) },
  {
    name: 'Lockable turned',
    elsewhere: 'Lockable is read by Lock alone',
    put: turnKeyConfig(0x0020),
  },
  { name: 'ReqRandom, nonce of the chip', elsewhere: random, put: turnKeyConfig(0x0040) },
  {
    name: 'ReqRandom, nonce of the host',
    elsewhere: random,
    ofHost: true,
    put: turnKeyConfig(0x0040),
  },
  { name: 'ReqAuth', elsewhere: auth, put: change(keyConfigAt, 0x0f00, 0x0480) },
  {
    name: 'ReqAuth, authorized',
    elsewhere: auth,
    before: authorize4,
    put: change(keyConfigAt, 0x0f00, 0x0480),
  },
  {
    name: 'ReqAuth, another key authorized',
    elsewhere: auth,
    before: authorize4,
    put: change(keyConfigAt, 0x0f00, 0x0580),
  },
  {
    name: 'ReqAuth and LimitedUse',
    elsewhere: auth,
    put: both(change(keyConfigAt, 0x0f00, 0x0480), limitUse),
  },
  { name: 'PersistentDisable', elsewhere: latch, put: turnKeyConfig(0x1000) },
  {
    name: 'PersistentDisable, the latch set',
    elsewhere: latch,
    before: [...authorize4, '30 04 0300'],
    put: turnKeyConfig(0x1000),
  },
  {
    name: 'X509id turned',
    elsewhere: 'X509id is for Verify 01, which is not there',
    put: turnKeyConfig(0x4000),
  },
]

const useLock = 'UseLock is read where a key is used or read'
const options = 'the protection of ECDH and KDF is read where those two give a result'
const boot = 'SecureBoot alone reads its configuration'

/** ChipOptions is the word at 90; IO key 6, KDF by AES. */
function chipOptions(text: string): State['put'] {
  return byte(90, text)
}

export const chipStates: readonly State[] = [
  { name: 'all locked', elsewhere: 'works in every lock state', put: byte(86, '0000') },
  { name: 'data open', elsewhere: 'works in every lock state', put: byte(86, '5500') },
  { name: 'nothing locked', elsewhere: 'works in every lock state', put: byte(86, '5555') },
  {
    name: 'the slot locked',
    elsewhere: 'the lock of a slot keeps its content, not its use',
    put: (memory, use) => {
      for (const slot of slotsOf(use)) {
        const at = 88 + (slot >> 3)
        memory.write('config', at, Uint8Array.of(memory.byte('config', at) & ~(1 << (slot & 7))))
      }
    },
  },
  { name: 'UseLock of key 3', elsewhere: useLock, put: byte(68, '3a') },
  {
    name: 'UseLock of key 4, authorized',
    elsewhere: useLock,
    before: authorize4,
    put: byte(68, '4a'),
  },
  {
    name: 'UseLock of this key',
    elsewhere: useLock,
    put: (memory, { slot = 4 }) => memory.write('config', 68, Uint8Array.of((slot << 4) | 0x0a)),
  },
  { name: 'UseLock of key 3, not A', elsewhere: useLock, put: byte(68, '3b') },
  {
    name: 'AES_Enable off',
    elsewhere: 'AES_Enable is read by AES and KDF by AES alone',
    put: byte(13, '00'),
  },
  {
    name: 'I2C_Enable off',
    elsewhere: 'the pin of Info 03 is one of parts for the single wire',
    put: byte(14, '38'),
  },
  {
    name: 'no VolatileKeyPermission',
    elsewhere: 'VolatileKeyPermission is for a write of the latch by Info 04',
    put: byte(69, '04'),
  },
  {
    name: 'VolatileKeyPermission of another',
    elsewhere: 'VolatileKeyPermission is for a write of the latch by Info 04',
    put: byte(69, '85'),
  },
  {
    name: 'SecureBoot disabled',
    elsewhere: boot,
    put: (memory) => memory.write('config', 70, Uint8Array.of(memory.byte('config', 70) & 0xfc)),
  },
  {
    name: 'SecureBoot, nothing kept',
    elsewhere: boot,
    put: (memory) =>
      memory.write('config', 70, Uint8Array.of((memory.byte('config', 70) & 0xfc) | 1)),
  },
  {
    name: 'SecureBoot wants a random nonce',
    elsewhere: boot,
    put: (memory) => memory.write('config', 70, Uint8Array.of(memory.byte('config', 70) | 0x10)),
  },
  {
    name: 'the same, nonce of the host',
    elsewhere: boot,
    ofHost: true,
    put: (memory) => memory.write('config', 70, Uint8Array.of(memory.byte('config', 70) | 0x10)),
  },
  {
    name: 'another IV of KDF',
    elsewhere: 'the IV is for a KDF whose message has one',
    put: byte(73, 'aabc'),
  },
  {
    name: 'another place of the IV',
    elsewhere: 'the IV is for a KDF whose message has one',
    put: byte(72, '01'),
  },
  {
    name: 'ChipOptions: self-test',
    elsewhere: 'it is read at the wake',
    put: chipOptions('0760'),
  },
  {
    name: 'ChipOptions: no IO key',
    elsewhere: 'the IO key is read where a result is encrypted or a MAC was wanted',
    put: chipOptions('0460'),
  },
  {
    name: 'ChipOptions: no KDF by AES',
    elsewhere: 'KDF by AES alone has a bit of its own',
    put: chipOptions('0260'),
  },
  { name: 'ChipOptions: ECDH 1', elsewhere: options, put: chipOptions('0661') },
  { name: 'ChipOptions: ECDH 2', elsewhere: options, put: chipOptions('0662') },
  { name: 'ChipOptions: ECDH 3', elsewhere: options, put: chipOptions('0663') },
  { name: 'ChipOptions: KDF 1', elsewhere: options, put: chipOptions('0664') },
  { name: 'ChipOptions: KDF 2', elsewhere: options, put: chipOptions('0668') },
  { name: 'ChipOptions: KDF 3', elsewhere: options, put: chipOptions('066c') },
]
