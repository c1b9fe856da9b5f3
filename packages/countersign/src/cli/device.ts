/**
 * `countersign device …`: the other end. Works on its own state folder, never on a server's; what
 * the server's side wants of a device is in deviceCommand.ts.
 */
import { resolve } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import type { DeviceEvent, EphemeralsBy, RoadName, RoadOptions } from '@countersign/device'
import type { Command } from 'commander'
import { addCommand, type Line, type OptionSpec } from './command.ts'
import { addDeviceCommands } from './deviceCommand.ts'
import { urls } from './element.ts'
import { type InvitationFile, readInvitation } from './invitation.ts'
import { pinAsker } from './passphrase.ts'
import { outline, plain, type Terminal } from './terminal.ts'
import { parseDuration } from './time.ts'

const state: OptionSpec = {
  flags: '--state <folder>',
  text: "the device's own folder: key, certificate, anchor, counters",
  default: './countersign-device',
}

/** Whose TLS is spoken; what a connection is, is the same. */
const tls: OptionSpec = {
  flags: '--tls <tls>',
  text: "own: the element signs and keeps its key; openssl: Node's own TLS, software elements only",
  choices: ['own', 'openssl'],
  default: 'own',
}

const mqtts: OptionSpec = {
  flags: '--mqtts <url>',
  text: 'where the server speaks mqtts (default: as the invitation said)',
}
const coap: OptionSpec = {
  flags: '--coap <url>',
  text: 'where the server speaks coap (default: as the invitation said)',
}
const roadOptions: readonly OptionSpec[] = [
  {
    flags: '--road <road>',
    text: 'how readings go and commands come; enrolment and renewal are https',
    choices: ['https', 'mqtts', 'coap'],
    default: 'https',
  },
  mqtts,
  coap,
  {
    flags: '--edhoc-suite <n>',
    text: 'over coap, the one cipher suite that handshakes offer: 2, or 3 with longer tags (default: either)',
    choices: ['2', '3'],
  },
  {
    flags: '--edhoc-method <n>',
    text: 'over coap, how the server shows itself in handshakes: 0 by a signature, 1 by a static key, in fewer bytes',
    choices: ['0', '1'],
  },
  {
    flags: '--ephemeral <where>',
    text: 'over coap, where the key of each handshake is made: host (default), or element, where it can',
    choices: ['host', 'element'],
  },
]

export function addDevice(program: Command, terminal: Terminal): void {
  const device = program.command('device').description('This machine as a device.')
  addCommand(device, terminal, {
    usage: 'enroll',
    summary: 'Make a key in the element and get a certificate for it with an invitation.',
    example: 'device enroll --invitation invitation.json --serial SN-0001',
    options: [
      {
        flags: '--invitation <file>',
        text: 'what "identity invite --json" printed: server, token, anchor, mqtts, coap; - reads stdin',
      },
      { flags: '--server <url>', text: 'as "identity invite" printed it' },
      { flags: '--token <token>', text: 'the one-time token; --invitation keeps it off the line' },
      {
        flags: '--anchor <sha256>',
        text: 'digest of the key that the server must chain to; nothing is sent before',
      },
      mqtts,
      coap,
      { flags: '--serial <serial>', text: 'what the maker printed on the device', required: true },
      { flags: '--eui64 <eui64>', text: 'its EUI-64 (default: the server gives one)' },
      { flags: '--element <url>', text: 'secure element that keeps the key', default: 'sw:' },
      { flags: '--slot <n>', text: 'slot of the element (default: the first that signs)' },
      {
        flags: '--new-key',
        text: 'make a new key also where a chip or token holds one: in a free slot, or in --slot',
      },
      tls,
      state,
    ],
    notes: `Takes an invitation, or server, token and anchor each by its option; an option wins over the invitation.\n${urls}`,
    run: enroll,
  })
  addCommand(device, terminal, {
    usage: 'send <topic> <data>',
    summary: 'Send one reading; it is kept until the server has it.',
    example: `device send room/temperature '{"celsius":21.5}'`,
    options: [...roadOptions, tls, state],
    run: send,
  })
  addCommand(device, terminal, {
    usage: 'run',
    summary: 'Keep sending, and renew the certificate when its time comes; Ctrl-C stops.',
    example: 'device run --source host --every 10s',
    options: [
      {
        flags: '--source <source>',
        text: "host (this machine's load, memory, uptime, temperature), a file, or - for lines of stdin",
        default: 'host',
      },
      { flags: '--every <duration>', text: 'time between readings', default: '10s' },
      { flags: '--topic <topic>', text: 'topic of the readings (default: by source)' },
      ...roadOptions,
      {
        flags: '--commands <program>',
        text: 'takes commands on the road of the readings and runs this program for each: its name is the argument, its data on stdin',
      },
      tls,
      state,
    ],
    notes:
      'What the program for commands prints is the result; an exit code other than 0 refuses, and the last line on stderr says why.\nIt has 60 seconds and prints at most 64 KiB. The connection of mqtts, and over coap the way through a NAT, is then kept while there is nothing to send.\nWith --json each event of the run is one document on one line.',
    run,
  })
  addCommand(device, terminal, {
    usage: 'renew',
    summary:
      'Get a new certificate for a new key now; the old one stays until the new one has worked.',
    example: 'device renew',
    options: [tls, state],
    run: async (line) => {
      const { renew, systemWorld, tlsNames } = await import('@countersign/device')
      const world = systemWorld(line.choice('tls', tlsNames), pinAsker(line.terminal))
      const renewed = await line.terminal.during('renewing', renew({ state: stateOf(line), world }))
      line.terminal.data(renewed, () => outline(renewed))
    },
  })
  addCommand(device, terminal, {
    usage: 'show',
    summary: 'Show who this device is, its certificate and what waits to be sent.',
    example: 'device show',
    options: [state],
    run: async (line) => {
      const { show } = await import('@countersign/device')
      const report = await show({ state: stateOf(line) })
      line.terminal.data(report, () => outline(report))
    },
  })
  addDeviceCommands(device, terminal)
}

interface Known {
  readonly roadNames: readonly RoadName[]
  readonly ephemeralNames: readonly EphemeralsBy[]
}

/** What the options of a road say; the parser has refused other words. */
function roadOf(line: Line, { roadNames, ephemeralNames }: Known): RoadOptions {
  const road = line.choice('road', roadNames)
  const narrow = narrowOf(line, ephemeralNames)
  if (narrow !== undefined && road !== 'coap') throw narrowNeedsCoap()
  return {
    ...(road === undefined ? {} : { road }),
    ...urlsOf(line),
    ...(narrow === undefined ? {} : { narrow }),
  }
}

/** How the channel on coap is made; undefined: nothing is said of it. */
function narrowOf(line: Line, ephemeralNames: readonly EphemeralsBy[]): RoadOptions['narrow'] {
  const suite = line.edhocSuite('edhocSuite')
  const named = line.choice('edhocMethod', ['0', '1'])
  const ephemeral = line.choice('ephemeral', ephemeralNames)
  if (suite === undefined && named === undefined && ephemeral === undefined) return undefined
  return {
    suite,
    ...(named === undefined ? {} : { method: named === '1' ? 1 : 0 }),
    ...(ephemeral === undefined ? {} : { ephemeral }),
  }
}

function narrowNeedsCoap(): CallerError {
  return new CallerError(
    'ERR_USAGE',
    'only the road coap has handshakes of EDHOC',
    {},
    {
      where: '--edhoc-suite, --edhoc-method, --ephemeral',
      hint: 'Add --road coap, or leave these options out.',
    },
  )
}

/** Where the server speaks other than https; an option wins over the invitation. */
function urlsOf(line: Line, invitation: InvitationFile = {}): Pick<RoadOptions, 'mqtts' | 'coap'> {
  const mqttsUrl = line.optional('mqtts') ?? invitation.mqtts
  const coapUrl = line.optional('coap') ?? invitation.coap
  return {
    ...(mqttsUrl === undefined ? {} : { mqtts: mqttsUrl }),
    ...(coapUrl === undefined ? {} : { coap: coapUrl }),
  }
}

function stateOf(line: Line): string {
  return resolve(line.text('state'))
}

async function enroll(line: Line): Promise<void> {
  const { enroll: enrollDevice, systemWorld, tlsNames } = await import('@countersign/device')
  const { absoluteElementUrl, parseElementUrl } = await import('@countersign/element/url')
  const eui64 = line.optional('eui64')
  const file = line.optional('invitation')
  const invitation = file === undefined ? {} : await readInvitation(file, line.terminal.stdin)
  const slot = line.whole('slot', { min: 0, max: 255 })
  const element = absoluteElementUrl(line.text('element'), process.cwd())
  if (line.text('tls') === 'openssl' && parseElementUrl(element).kind !== 'software') {
    throw opensslNeedsSoftware()
  }
  const word = (name: 'server' | 'token' | 'anchor'): string =>
    line.optional(name) ?? invitation[name] ?? line.text(name)
  const enrolled = await line.terminal.during(
    'enrolling',
    enrollDevice({
      server: word('server'),
      token: word('token'),
      anchor: word('anchor'),
      serial: line.text('serial'),
      element,
      newKey: line.flag('newKey'),
      ...(slot === undefined ? {} : { slot }),
      state: stateOf(line),
      world: systemWorld(line.choice('tls', tlsNames), pinAsker(line.terminal)),
      listener: (event) => sayTrouble(line.terminal, event),
      ...(eui64 === undefined ? {} : { eui64 }),
      ...urlsOf(line, invitation),
    }),
  )
  line.terminal.data(enrolled, () => outline(enrolled))
}

function opensslNeedsSoftware(): CallerError {
  return new CallerError(
    'ERR_USAGE',
    "Node's TLS needs the key itself, which only a software element has",
    {},
    { where: '--tls', hint: 'Leave --tls openssl out: our own TLS lets the element sign.' },
  )
}

async function send(line: Line): Promise<void> {
  const device = await import('@countersign/device')
  const { send: sendReading, textSample } = device
  const sent = await line.terminal.during(
    'sending',
    sendReading({
      state: stateOf(line),
      topic: line.argument(0),
      sample: textSample(line.argument(1)),
      ...roadOf(line, device),
      world: device.systemWorld(line.choice('tls', device.tlsNames), pinAsker(line.terminal)),
      listener: (event) => sayTrouble(line.terminal, event),
    }),
  )
  line.terminal.data(sent, () => outline(sent))
}

async function run(line: Line): Promise<void> {
  const device = await import('@countersign/device')
  const { terminal } = line
  const every = parseDuration(line.text('every'), '--every')
  const world = device.systemWorld(line.choice('tls', device.tlsNames), pinAsker(line.terminal))
  const name = line.text('source')
  const source =
    name === 'host'
      ? device.hostSource(world, every)
      : name === '-'
        ? device.lineSource(terminal.stdin)
        : device.fileSource(world, resolve(name), every)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())
  const topic = line.optional('topic')
  const program = line.optional('commands')
  const onCommand =
    program === undefined
      ? undefined
      : await device.programHandler({ program: resolve(program), world, signal: stop.signal })
  const advice = new Advice()
  const summary = await device.run({
    state: stateOf(line),
    source,
    world,
    signal: stop.signal,
    listener: (event) => {
      if (terminal.json) terminal.document(event)
      else terminal.text(sentence(advice.once(event)))
    },
    ...(topic === undefined ? {} : { topic }),
    ...roadOf(line, device),
    ...(onCommand === undefined ? {} : { onCommand }),
  })
  terminal.data({ event: 'stopped', ...summary }, () => outline(summary))
}

function sayTrouble(terminal: Terminal, event: DeviceEvent): void {
  // What comes of a connection that broke is told by `unreachable`.
  if (['sent', 'connected', 'disconnected'].includes(event.event)) return
  // The advice comes once, with the error that ends the command.
  terminal.words(sentence('hint' in event ? { ...event, hint: undefined } : event))
}

/** Says each advice once until something has gone well again: a run goes on for days. */
class Advice {
  #told = ''

  once(event: DeviceEvent): DeviceEvent {
    if (event.event === 'sent') this.#told = ''
    if (!('hint' in event) || event.hint === undefined) return event
    if (event.hint === this.#told) return { ...event, hint: undefined }
    this.#told = event.hint
    return event
  }
}

/** One line: the event, what it carries, and what went wrong in words. */
export function sentence(event: DeviceEvent): string {
  const { event: name, ...rest } = event
  const { code, message, hint, retryInMs, ...carried } = { ...noTrouble, ...rest }
  const facts = Object.entries(carried).map(([key, value]) => ` ${key}=${plain(String(value))}`)
  const trouble = message === undefined ? '' : `: ${plain(message)} [${plain(code)}]`
  const again = retryInMs === undefined ? '' : `, again in ${(retryInMs / 1000).toFixed(1)} s`
  const advice = hint === undefined ? '' : `\n  ${plain(hint)}`
  return `${name}${facts.join('')}${trouble}${again}${advice}`
}

const noTrouble: {
  readonly code?: string
  readonly message?: string
  readonly hint?: string | undefined
  readonly retryInMs?: number
} = {}
