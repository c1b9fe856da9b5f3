/** `countersign identity …`: who the devices are and what may happen to them. */
import {
  type DeviceDocument,
  deviceStates,
  type InvitationDocument,
  revocationReasons,
} from '@countersign/server/control'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { ask, withHouse } from './house.ts'
import { outline, record, type Terminal, table } from './terminal.ts'
import { parseTime } from './time.ts'

/** Rows asked for at a time; a listing of any length is printed as it comes. */
const pageRows = 1000

export function addIdentity(program: Command, terminal: Terminal): void {
  const identity = program
    .command('identity')
    .description('Devices: invite, look up, suspend, revoke.')
  addCommand(identity, terminal, {
    usage: 'invite',
    summary: 'Make a one-time token with which new devices of a product enrol.',
    example: 'identity invite --product default --count 1 --expires 1h',
    folder: true,
    options: [
      { flags: '--product <name>', text: 'product of the devices', default: 'default' },
      { flags: '--count <n>', text: 'how many devices it admits', default: '1' },
      { flags: '--expires <time>', text: 'RFC 3339 or a duration from now', default: '1h' },
      { flags: '--serial <serial>', text: 'the only serial number it is good for' },
    ],
    notes:
      'Prints the token (shown once), the server to enrol at, where it speaks mqtts and coap, and the anchor: the SHA-256 of the public key\nof the server CA, which the device checks before it sends anything. With --json into a file, "device enroll --invitation FILE"\ntakes all of it, and the token stands in no process list.',
    run: invite,
  })
  addCommand(identity, terminal, {
    usage: 'invitations',
    summary: 'List the invitations that still admit a device; tokens are stored nowhere.',
    example: 'identity invitations',
    folder: true,
    run: invitations,
  })
  addCommand(identity, terminal, {
    usage: 'uninvite <id>',
    summary: 'Withdraw an invitation; devices that enrolled with it stay.',
    example: 'identity uninvite 877ece5bed9b1e1c',
    folder: true,
    run: async (line) => {
      const withdrawn = await ask(line, 'identity.uninvite', { id: line.argument(0) })
      line.terminal.data(withdrawn, () => record(Object.entries(withdrawn)))
    },
  })
  addCommand(identity, terminal, {
    usage: 'list',
    summary: 'List the devices.',
    example: 'identity list --state active --json',
    folder: true,
    options: [
      { flags: '--state <state>', text: 'only these', choices: deviceStates },
      { flags: '--product <name>', text: 'only this product' },
    ],
    run: list,
  })
  addCommand(identity, terminal, {
    usage: 'show <id>',
    summary:
      'Show one device and its certificates; the id may be its URN, EUI-64 or serial number.',
    example: 'identity show 02a1b2c3d4000001',
    folder: true,
    run: show,
  })
  addMoves(identity, terminal)
  addCommand(identity, terminal, {
    usage: 'why <id>',
    summary: 'Say why a device is or is not let in: its state, its last refusals, and what to do.',
    example: 'identity why 02a1b2c3d4000001',
    folder: true,
    run: why,
  })
}

function addMoves(identity: Command, terminal: Terminal): void {
  addCommand(identity, terminal, {
    usage: 'suspend <id>',
    summary: 'Keep a device out until it is resumed; its live connections end.',
    example: 'identity suspend 02a1b2c3d4000001 --reason "in repair"',
    folder: true,
    options: [{ flags: '--reason <text>', text: 'a word for whoever asks why' }],
    run: async (line) => {
      const id = line.argument(0)
      moved(line, await ask(line, 'identity.suspend', { id, reason: line.optional('reason') }))
    },
  })
  addCommand(identity, terminal, {
    usage: 'resume <id>',
    summary: 'Let a suspended device in again.',
    example: 'identity resume 02a1b2c3d4000001',
    folder: true,
    run: async (line) => moved(line, await ask(line, 'identity.resume', { id: line.argument(0) })),
  })
  addCommand(identity, terminal, {
    usage: 'revoke <id>',
    summary: 'Revoke a device and its certificates for good; its live connections end.',
    example: 'identity revoke 02a1b2c3d4000001 --reason keyCompromise',
    folder: true,
    options: [
      {
        flags: '--reason <reason>',
        text: 'as in RFC 5280',
        choices: revocationReasons,
        default: 'unspecified',
      },
    ],
    run: async (line) => {
      const reason = line.choice('reason', revocationReasons) ?? 'unspecified'
      moved(line, await ask(line, 'identity.revoke', { id: line.argument(0), reason }))
    },
  })
  addCommand(identity, terminal, {
    usage: 'retire <id>',
    summary: 'End the life of a device that is scrapped; its identity is never given out again.',
    example: 'identity retire 02a1b2c3d4000001',
    folder: true,
    run: async (line) => moved(line, await ask(line, 'identity.retire', { id: line.argument(0) })),
  })
}

async function invite(line: Line): Promise<void> {
  const document = await ask(line, 'identity.invite', {
    product: line.text('product'),
    count: line.whole('count', { min: 1, max: 1_000_000 }) ?? 1,
    expiresAt: parseTime(line.text('expires'), Date.now(), '--expires'),
    serial: line.optional('serial'),
  })
  const { id, token, server, mqtts, coap, anchor, expires } = document
  line.terminal.data(document, () =>
    record([
      ['id', id],
      ['token', token],
      ['server', server],
      ['mqtts', mqtts],
      ['coap', coap],
      ['anchor', anchor],
      ['expires', expires],
    ]),
  )
  line.terminal.words(
    `\nOn the device:\n  countersign device enroll --server ${server} --mqtts ${mqtts} --coap ${coap} --token ${token} --anchor ${anchor} --serial ${line.optional('serial') ?? 'SERIAL'}`,
  )
}

async function invitations(line: Line): Promise<void> {
  const rows = await withHouse(line, async (house) => {
    const all: InvitationDocument[] = []
    for (;;) {
      const page = await house.call('identity.invitations', {
        after: all.at(-1)?.id,
        limit: pageRows,
      })
      all.push(...page)
      if (page.length < pageRows) return all
    }
  })
  line.terminal.data(rows, () => (rows.length === 0 ? '' : invitationTable(rows)))
  if (rows.length === 0) {
    line.terminal.words('No open invitations. Make one with: countersign identity invite')
  }
}

function invitationTable(rows: readonly InvitationDocument[]): string {
  return table(
    ['id', 'product', 'serial', 'count', 'used', 'expires'],
    rows.map((row) => [row.id, row.product, row.serial, row.count, row.used, row.expires]),
  )
}

async function list(line: Line): Promise<void> {
  const filter = {
    state: line.choice('state', deviceStates),
    product: line.optional('product'),
  }
  const rows = await withHouse(line, async (house) => {
    const all: DeviceDocument[] = []
    for (;;) {
      const after = all.at(-1)?.id
      const page = await house.call('identity.list', { ...filter, after, limit: pageRows })
      all.push(...page)
      if (page.length < pageRows) return all
    }
  })
  line.terminal.data(rows, () => (rows.length === 0 ? '' : deviceTable(rows)))
  if (rows.length === 0) {
    line.terminal.words('No devices. Invite one with: countersign identity invite')
  }
}

function deviceTable(rows: readonly DeviceDocument[]): string {
  return table(
    ['eui64', 'serial', 'product', 'state', 'assurance', 'road', 'last seen'],
    rows.map((row) => [
      row.eui64,
      row.serial,
      row.product,
      row.state,
      row.assurance,
      row.road,
      row.lastSeen,
    ]),
  )
}

async function show(line: Line): Promise<void> {
  const device = await ask(line, 'identity.show', { id: line.argument(0) })
  line.terminal.data(device, () => {
    const { certificates, keys, ...fields } = device
    const certificateTable = table(
      ['certificate', 'profile', 'status', 'not before', 'not after'],
      certificates.map((one) => [one.serial, one.profile, one.status, one.notBefore, one.notAfter]),
    )
    const keyTable = table(
      ['key', 'assurance', 'origin', 'element', 'slot', 'evidence', 'judged'],
      keys.map((one) => [
        one.key.slice(0, 16),
        one.assurance,
        // Its host says that it is in an element, and nobody who is believed says it too.
        one.evidenceFormat !== null && one.elementSerial === null ? 'unvouched' : one.origin,
        one.elementSerial,
        one.slot,
        one.evidenceFormat,
        one.judged,
      ]),
    )
    const lowered = keys
      .filter((one) => one.lowered !== null)
      .map(
        (one) =>
          `\nThe key ${one.key.slice(0, 16)} is worth less than it was judged: ${one.lowered}.`,
      )
    return `${record(Object.entries(fields))}\n\n${certificateTable}\n\n${keyTable}${lowered.join('')}`
  })
}

function moved(line: Line, device: DeviceDocument): void {
  line.terminal.data(device, () =>
    record([
      ['id', device.id],
      ['state', device.state],
    ]),
  )
}

async function why(line: Line): Promise<void> {
  const answer = await ask(line, 'identity.why', { id: line.argument(0) })
  line.terminal.data(answer, () => outline(answer))
}
