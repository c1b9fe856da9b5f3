/**
 * `countersign element …`: secure elements of this machine. Part of the other end: no server's
 * folder is opened here.
 */
import { randomBytes } from 'node:crypto'
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { base64, fromHex, hex, pem } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import { lockWords, type SecureElement } from '@countersign/element/ports'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { pinAsker } from './passphrase.ts'
import { outline, record, type Terminal, table } from './terminal.ts'

const nonceLength = 32

export function addElement(program: Command, terminal: Terminal): void {
  const element = program.command('element').description('Secure elements of this machine.')
  addCommand(element, terminal, {
    usage: 'list',
    summary: 'List buses, modules and tokens on which an element could be.',
    example: 'element list',
    notes: 'Opens no bus and logs in to no token.',
    run: list,
  })
  addCommand(element, terminal, {
    usage: 'info <url>',
    summary: 'Show what an element is, how it is locked and what its slots hold; writes nothing.',
    example: 'element info "atecc608:/dev/i2c-1?address=0x60"',
    notes: urls,
    run: info,
  })
  addCommand(element, terminal, {
    usage: 'attest <url>',
    summary: 'Have an element say in a signed statement what a slot holds.',
    example: 'element attest atecc608:emulator:chip.json --slot 0',
    options: [
      { flags: '--slot <n>', text: 'the slot (default: the first that signs and holds a key)' },
      { flags: '--nonce <hex>', text: "the verifier's 32 bytes (default: drawn here)" },
    ],
    notes:
      'The statement is for a verifier that gave the nonce; "device enroll" does all of it by itself.',
    run: attest,
  })
  addCommand(element, terminal, {
    usage: 'setup <url>',
    summary: 'Configure a blank ATECC608, lock it for ever and give it an attestation key.',
    example: 'element setup "atecc608:/dev/i2c-1?address=0x60" --dry-run',
    options: [
      {
        flags: '--dry-run',
        text: 'print every byte that would be sent; write, make and lock nothing',
      },
      {
        flags: '--lock <words>',
        text: 'yes-permanently: lock it, which nobody can undo; without it nothing is locked',
      },
    ],
    notes:
      'Without --lock the configuration is written, read back and compared, and can still be changed.\nA setup that broke off is taken up where it was. The file of a new emulated part is made, blank.',
    run: setup,
  })
  addCommand(element, terminal, {
    usage: 'works [folder]',
    summary: 'Print the root certificate under which the emulated parts of a folder attest, PEM.',
    example: 'element works . > works.pem',
    notes:
      'For "ca anchor add works.pem --role attestation" at a server that is to know them. Their word is worth 1 at most.',
    run: works,
  })
  addCommand(element, terminal, {
    usage: 'emulate <file>',
    summary: 'Serve an emulated ATECC608 to any program on this machine, over a socket.',
    example: 'element emulate chip.json --socket chip.sock',
    options: [
      {
        flags: '--socket <path>',
        text: 'takes raw I2C transactions, or the bytes of a UART',
        required: true,
      },
      {
        flags: '--framing <framing>',
        text: 'I2C, or the single wire of a new part without I2C',
        choices: ['i2c', 'swi'],
        default: 'i2c',
      },
      {
        flags: '--address <n>',
        // That of a trust part is unconfirmed on silicon (U2).
        text: '7-bit I2C address of a new part (default: 0x60, 0x36 of a trust part)',
      },
      {
        flags: '--times <times>',
        text: 'execution times: as silicon, or none',
        choices: ['real', 'none'],
        default: 'real',
      },
      { flags: '--blank', text: 'a new part is blank, as from a distributor, and not set up' },
      {
        flags: '--trust-part',
        text: 'a new part is locked as a TrustFLEX one, its key in slot 0 for good (address 0x36)',
      },
    ],
    notes:
      'The format of the socket is in docs/element/emulator.md. Ctrl-C stops.\nKeys of an emulated part lie in its file: it is for desks and tests.',
    run: emulate,
  })
}

export const urls = `URLs of elements:
  sw: or sw:NAME                           a file in the state folder
  atecc608:/dev/i2c-1?address=0x60         a chip on a Linux I2C bus
  atecc608:swi:/dev/ttyS0                  a chip on a single wire
  atecc608:relay:SOCKET?address=0x60       a chip behind a relay
  atecc608:emulator:FILE                   an emulated chip
    ?framing=i2c|swi&times=real|none
  pkcs11:token=T;object=K?module-path=F    a token (RFC 7512)`

/** Opens what is there, and closes it whatever happens. */
export async function withElement<T>(
  line: Line,
  url: string,
  use: (element: SecureElement) => Promise<T>,
): Promise<T> {
  const { openElement } = await import('@countersign/element/compose')
  const { absoluteElementUrl } = await import('@countersign/element/url')
  const folder = process.cwd()
  const element = await openElement(absoluteElementUrl(url, folder), {
    folder,
    mustExist: true,
    ...pinAsker(line.terminal),
  })
  try {
    return await use(element)
  } finally {
    await element.close()
  }
}

async function list(line: Line): Promise<void> {
  const { findPlaces } = await import('@countersign/element/places')
  const places = await findPlaces()
  line.terminal.data(places, () =>
    places.length === 0
      ? 'No I2C bus, serial line or PKCS#11 module was found; "sw:" and "atecc608:emulator:FILE" need none.'
      : places.map(({ url, what, note }) => `${what}, ${note}\n  ${url}`).join('\n'),
  )
}

async function info(line: Line): Promise<void> {
  const url = line.argument(0)
  const report = await withElement(line, url, async (element) => {
    const state = await element.state()
    return {
      url,
      ...(await element.info()),
      ...state,
      slots: await element.slots(),
      dataSlots: (await element.data?.slots()) ?? [],
      // A part that is still open does not count yet.
      counters: state.config === 'open' ? [] : await countersOf(element),
    }
  })
  line.terminal.data(report, () => {
    const { slots, dataSlots, counters, capabilities, ...head } = report
    const rows = slots.map((slot) => [
      slot.slot,
      slot.state,
      slot.uses.join(' '),
      slot.canGenerate ? 'yes' : 'no',
      slot.locked ? 'locked' : 'isExposed' in slot && slot.isExposed === true ? 'may leave' : '',
    ])
    const room = dataSlots.map((one) => `${one.slot} (${one.size} B)`).join(', ')
    const told = [
      ['can', capabilities.join(', ')],
      ['data slots', room],
      ['counters', counters.join(', ')],
    ] as const
    const advice = report.config === 'open' ? blankAdvice : ''
    return `${record([...Object.entries(head), ...told])}\n\n${table(
      ['slot', 'holds', 'for', 'new key', 'lock'],
      rows,
    )}${advice}`
  })
}

const blankAdvice =
  '\n\nThis part is blank: its configuration is open, and no key is safe in it. "element setup" makes it ready.'

async function countersOf({ counters }: SecureElement): Promise<readonly number[]> {
  const values: number[] = []
  for (let i = 0; i < (counters?.count ?? 0); i++) values.push((await counters?.read(i)) ?? 0)
  return values
}

async function attest(line: Line): Promise<void> {
  const url = line.argument(0)
  const nonce = nonceOf(line.optional('nonce'))
  const report = await withElement(line, url, async (element) => {
    if (element.attest === undefined) throw attestsNothing(url)
    const held = (await element.slots()).find(
      ({ state, uses }) => state === 'key' && uses.includes('sign'),
    )
    const slot = line.whole('slot', { min: 0, max: 255 }) ?? held?.slot
    if (slot === undefined) throw holdsNoKey(url)
    const { format, evidence, chain } = await element.attest(slot, nonce)
    return {
      url,
      slot,
      format,
      nonce: hex(nonce),
      publicKey: hex(await element.publicKey(slot)),
      evidence: base64(evidence),
      chain: chain.map((der) => pem('CERTIFICATE', der)).join(''),
    }
  })
  const { chain, ...rest } = report
  line.terminal.data(report, () => `${outline(rest)}\n${chain}`)
}

async function setup(line: Line): Promise<void> {
  const { openChip } = await import('@countersign/element/compose')
  const { planSetup, setUp, stepLine } = await import('@countersign/element/setup')
  const { absoluteElementUrl } = await import('@countersign/element/url')
  const url = absoluteElementUrl(line.argument(0), process.cwd())
  const words = line.optional('lock')
  if (words !== undefined && words !== lockWords) throw noLockWords()
  const { chip, certifier } = await openChip(url, process.cwd())
  try {
    if (line.flag('dryRun')) {
      const { steps, ...about } = await planSetup(chip)
      const shown = steps.map((step) => ({
        act: step.act,
        words: step.words,
        packet: step.packet === undefined ? null : hex(step.packet),
      }))
      line.terminal.data({ url, ...about, steps: shown }, () =>
        steps.length === 0
          ? `${about.serial} is set up as ${about.layout}.`
          : `${url}\n${about.serial}, to be ${about.layout}; from the first lock on only with --lock ${lockWords}:\n\n${steps.map(stepLine).join('\n')}`,
      )
      return
    }
    // Who certifies is asked before anything is made for ever.
    const certify = words === undefined ? undefined : await certifier?.()
    const result = await setUp(chip, {
      ...(words === undefined ? {} : { confirm: lockWords }),
      certify,
      heard: (step) => line.terminal.words(stepLine(step)),
    })
    const key = result.attestationKey
    const report = { url, ...result, attestationKey: key === undefined ? null : hex(key) }
    line.terminal.data(report, () =>
      result.locked
        ? outline(report)
        : `${outline(report)}\nWritten and compared; --lock ${lockWords} makes it permanent.`,
    )
  } finally {
    await chip.close()
  }
}

async function works(line: Line): Promise<void> {
  const { openWorks, worksFile } = await import('@countersign/element/emulatorWorks')
  const file = worksFile(resolve(line.argument(0) || '.'))
  // Opening makes them; here they are only looked at.
  await access(file).catch(() => {
    throw noWorks(file)
  })
  const { root } = await openWorks(file)
  const text = pem('CERTIFICATE', root)
  line.terminal.data({ file, root: text }, () => text)
}

async function emulate(line: Line): Promise<void> {
  const { serveEmulatedChip } = await import('@countersign/element/emulator')
  const address = addressOf(line.optional('address'))
  const served = await serveEmulatedChip({
    file: resolve(line.argument(0)),
    socket: resolve(line.text('socket')),
    framing: line.choice('framing', ['i2c', 'swi'] as const) ?? 'i2c',
    times: line.choice('times', ['real', 'none'] as const) ?? 'real',
    blank: line.flag('blank'),
    trustPart: line.flag('trustPart'),
    ...(address === undefined ? {} : { address }),
    onFault: (fault) => line.terminal.warn(fault),
  })
  const { socket, serial, address: at, url, serialPort } = served
  const report = {
    event: 'ready',
    socket,
    address: at ?? null,
    serial,
    url,
    serialPort: serialPort ?? null,
  }
  const where = serialPort === undefined ? '' : `, behind this serial port:\n  ${serialPort}`
  line.terminal.data(report, () => `The part ${serial} answers at ${url}${where}\nCtrl-C stops.`)
  await new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => done())
  })
  await served.close()
}

function noWorks(file: string): CallerError {
  return new CallerError(
    'ERR_ELEMENT_GONE',
    'no emulated part was set up in this folder',
    {},
    { where: file, hint: 'Name the folder that holds the files of the parts.' },
  )
}

function addressOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = /^(?:0x[0-9a-f]{1,2}|[0-9]{1,3})$/i.test(text) ? Number(text) : Number.NaN
  if (value >= 0x08 && value <= 0x77) return value
  throw new CallerError(
    'ERR_USAGE',
    'an I2C address is 0x08 to 0x77',
    {},
    { where: '--address', hint: 'A part is delivered with 0x60.' },
  )
}

function noLockWords(): CallerError {
  return new CallerError(
    'ERR_USAGE',
    'nothing is locked by these words',
    {},
    { where: '--lock', hint: `No lock can be undone. If that is meant: --lock ${lockWords}.` },
  )
}

function nonceOf(text: string | undefined): Uint8Array {
  if (text === undefined) return new Uint8Array(randomBytes(nonceLength))
  if (/^[0-9a-f]{64}$/i.test(text)) return fromHex(text.toLowerCase())
  throw new CallerError(
    'ERR_USAGE',
    'a nonce is 32 bytes in hex',
    {},
    { where: '--nonce', hint: 'Give the 64 hex digits that the verifier gave.' },
  )
}

function holdsNoKey(url: string): CallerError {
  return new CallerError(
    'ERR_ELEMENT_SLOT_EMPTY',
    'no slot that signs holds a key yet',
    {},
    { where: url, hint: '"device enroll" makes one; --slot names another slot.' },
  )
}

function attestsNothing(url: string): CallerError {
  return new CallerError(
    'ERR_ELEMENT_UNSUPPORTED',
    'this element makes no statement that a verifier could believe',
    {},
    { where: url, hint: 'An ATECC608 that was set up with an attestation key does.' },
  )
}
