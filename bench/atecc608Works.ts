/** What bench/atecc608.ts has the chip do: each command, with those that have to come before it. */
import {
  createECDH,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { paperTime } from '../packages/element/src/bus/time.ts'
import { aesEncrypt } from '../packages/element/src/drivers/atecc608/aesCommand.ts'
import { ecdhCompatible, kdf } from '../packages/element/src/drivers/atecc608/agree.ts'
import {
  incrementCounter,
  random,
  readCounter,
  revision,
} from '../packages/element/src/drivers/atecc608/basics.ts'
import {
  decrementUses,
  secureBoot,
  selfTest,
} from '../packages/element/src/drivers/atecc608/boot.ts'
import { sha256Inside } from '../packages/element/src/drivers/atecc608/digests.ts'
import { i2cWire } from '../packages/element/src/drivers/atecc608/i2cWire.ts'
import {
  createKey,
  loadNonce,
  publicKeyOf,
  randomNonce,
  signExternal,
} from '../packages/element/src/drivers/atecc608/keys.ts'
import { checkMac, deriveKey, genDig, mac } from '../packages/element/src/drivers/atecc608/macs.ts'
import { writePrivateKey } from '../packages/element/src/drivers/atecc608/secured.ts'
import {
  type ChipSession,
  type CommandLine,
  openChipSession,
} from '../packages/element/src/drivers/atecc608/session.ts'
import { verifyExternal } from '../packages/element/src/drivers/atecc608/verify.ts'
import { readZone, writeZone } from '../packages/element/src/drivers/atecc608/zones.ts'
import { handlers } from '../packages/element/src/emulators/atecc608/commands/table.ts'
import { emulatedI2c } from '../packages/element/src/emulators/atecc608/i2cEndpoint.ts'
import { type Core, EmulatedPart } from '../packages/element/src/emulators/atecc608/part.ts'
import { benchCore, secret, serial, slots } from './benchPart.ts'

export interface Work {
  readonly name: string
  /** The cases of the commands that come before it in the same wake. */
  readonly after: readonly string[]
  /** How often its own command is sent. */
  readonly times: number
  /** The name of the operation that is inside. */
  readonly bare: keyof ReturnType<typeof bareOperations> | undefined
  readonly run: () => Promise<unknown>
}

export interface Workbench {
  readonly works: readonly Work[]
  infoOnChip(): unknown
  /** A wake and an idle. */
  nothing(): Promise<void>
  close(): Promise<void>
}

/** Info, as it goes over the wire. */
const infoPacket = Uint8Array.from(Buffer.from('0730000000035d', 'hex'))
const lockOpcode = 0x17

export async function workbench(): Promise<Workbench> {
  const core = benchCore()
  const sent: number[] = []
  const time = paperTime()
  const part = new EmulatedPart(recorded(core, sent), { time, times: 'none' })
  const chip = await openChipSession(i2cWire(emulatedI2c([part]), time), time)
  const works = await worksOn(chip)
  await requireWhole(works, sent)
  return {
    works,
    infoOnChip: () => core.chip.execute(infoPacket),
    nothing: () => chip.sequence(async () => undefined),
    close: () => chip.close(),
  }
}

/** Until it is full; a benchmark that goes on needs no record. */
function recorded(core: Core, sent: number[]): Core {
  const execute: Core['chip']['execute'] = (packet, timeLeftMs) => {
    const execution = core.chip.execute(packet, timeLeftMs)
    if (sent.length < sentMax && execution.opcode !== undefined) sent.push(execution.opcode)
    return execution
  }
  return { ...core, chip: { ...core.chip, execute } }
}

const sentMax = 200

/** Each case sends as many commands as it says, and together they send all that there are. */
async function requireWhole(works: readonly Work[], sent: number[]): Promise<void> {
  const seen = new Set<number>()
  for (const { name, after, times, run } of works) {
    sent.length = 0
    await run()
    if (sent.length !== after.length + times) throw new Error(`${name}: ${sent.length} commands`)
    for (const opcode of sent) seen.add(opcode)
  }
  const absent = [...handlers.keys()].filter((opcode) => opcode !== lockOpcode && !seen.has(opcode))
  if (absent.length > 0) throw new Error(`not measured: ${absent.join(', ')}`)
}

const digest = new Uint8Array(randomBytes(32))
const word = new Uint8Array(randomBytes(4))
const block = new Uint8Array(randomBytes(16))
const hostNonce = new Uint8Array(randomBytes(20))
/** From the input; the slots of KDF are beside. */
const hkdfOfInput = 2

async function worksOn(chip: ChipSession): Promise<readonly Work[]> {
  const peer = await createKey(chip, slots.identity)
  const signer = await createKey(chip, slots.signer)
  const signature = await inSequence(chip, async (line) => {
    await loadNonce(line, digest)
    return signExternal(line, slots.signer)
  })()
  await writeZone(chip, { kind: 'data', slot: slots.bootKey }, 0, padded(signer))
  const response = await mac(chip, 0, slots.secret, digest)
  const { limited, rolled } = slots
  const loaded = (step: (line: CommandLine) => Promise<unknown>): (() => Promise<unknown>) =>
    inSequence(chip, async (line) => {
      await loadNonce(line, digest)
      return step(line)
    })
  const nonce = 'Nonce, given'
  return [
    work('Info', () => revision(chip)),
    work('Read, 32 bytes', () => readZone(chip, { kind: 'config' }, 0, 32)),
    work('Write, a word', () => writeZone(chip, { kind: 'data', slot: slots.data }, 0, word)),
    work('Random', () => random(chip)),
    work('Counter, read', () => readCounter(chip, 1)),
    work('Counter, increment', () => incrementCounter(chip, 1)),
    work(nonce, () => loadNonce(chip, digest)),
    work('Nonce, drawn', () => randomNonce(chip, hostNonce)),
    work('GenKey, create', () => createKey(chip, slots.identity), { bare: 'point' }),
    work('GenKey, public', () => publicKeyOf(chip, slots.identity), { bare: 'point' }),
    work(
      'Sign',
      loaded((line) => signExternal(line, slots.signer)),
      {
        after: [nonce],
        bare: 'sign',
      },
    ),
    work(
      'Verify',
      loaded((line) => verifyExternal(line, signature, signer)),
      {
        after: [nonce],
        bare: 'verify',
      },
    ),
    work('ECDH', () => ecdhCompatible(chip, slots.identity, peer), { bare: 'ecdh' }),
    work(
      'SHA',
      inSequence(chip, (line) => sha256Inside(line, digest)),
      { times: 2 },
    ),
    work('MAC', () => mac(chip, 0, slots.secret, digest)),
    work('CheckMac', () =>
      checkMac(chip, { mode: 0, slot: slots.secret, challenge: digest, response, other: macHead }),
    ),
    work('AES, a block', () => aesEncrypt(chip, { at: slots.aes })(block)),
    work('KDF, HKDF', () => kdf(chip, hkdf)),
    work(
      'GenDig',
      loaded((line) => genDig(line, 'slot', slots.secret)),
      { after: [nonce] },
    ),
    work(
      'DeriveKey',
      loaded((line) => deriveKey(line, 4, rolled)),
      { after: [nonce] },
    ),
    work('PrivWrite', inSequence(chip, writeKey), { after: ['Nonce, drawn', 'GenDig'] }),
    work('SecureBoot', () => secureBoot(chip, { mode: 'full', digest, signature }), {
      bare: 'verify',
    }),
    work('SelfTest', () => selfTest(chip)),
    work('UpdateExtra', () => decrementUses(chip, limited)),
  ]
}

function work(
  name: string,
  run: () => Promise<unknown>,
  { after = [], times = 1, bare }: Partial<Pick<Work, 'after' | 'times' | 'bare'>> = {},
): Work {
  return { name, after, times, bare, run }
}

function inSequence<T>(chip: ChipSession, steps: (line: CommandLine) => Promise<T>) {
  return (): Promise<T> => chip.sequence(steps)
}

/** Opcode, mode and slot of the MAC that CheckMac is to expect; no serial number. */
const macHead = Uint8Array.of(0x08, 0, slots.secret, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

const hkdf = {
  algorithm: 'hkdf',
  source: 'slot',
  sourceSlot: slots.secret,
  target: 'output',
  details: hkdfOfInput,
  message: digest,
} as const

const privateKey = Uint8Array.from({ length: 32 }, (_, index) => index + 1)

function writeKey(line: CommandLine): Promise<void> {
  const shared = { slot: slots.secret, key: secret, serial, hostNonce }
  return writePrivateKey(line, slots.privWritten, privateKey, shared)
}

/** As a public key stands in a slot: each coordinate behind four bytes. */
function padded(point: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(72)
  bytes.set(point.subarray(0, 32), 4)
  bytes.set(point.subarray(32), 40)
  return bytes
}

/** The same of OpenSSL, through Node; a verifier is given its key anew each time, as a chip is. */
export function bareOperations(): Readonly<
  Record<'point' | 'sign' | 'verify' | 'ecdh', () => unknown>
> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = createPrivateKey(pair.privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const key = pair.publicKey.export({ format: 'pem', type: 'spki' })
  const signature = sign('sha256', digest, own)
  const peer = createECDH('prime256v1').generateKeys()
  return {
    point: () => withKey().getPublicKey(),
    sign: () => sign('sha256', digest, own),
    verify: () => verify('sha256', digest, key, signature),
    ecdh: () => withKey().computeSecret(peer),
  }
}

function withKey(): ReturnType<typeof createECDH> {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey)
  return ecdh
}
