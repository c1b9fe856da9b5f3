/**
 * `countersign device command` and `device commands`: what an operator wants of a device. The
 * server's side of a device, so they work on a data folder.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { jsonMembers } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import type { WrittenCommand } from '@countersign/server/control'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { ask } from './house.ts'
import { outline, type Terminal, table } from './terminal.ts'
import { parseDuration, parseTime } from './time.ts'

/** What one look at a device shows. */
const listRows = 50
/** Between two looks at a command that is waited for. */
const lookMs = 500

const ended: ReadonlySet<string> = new Set(['answered', 'expired', 'refused'])

export function addDeviceCommands(device: Command, terminal: Terminal): void {
  addCommand(device, terminal, {
    usage: 'command <id> <name> [data]',
    summary: 'Queue a command for a device; it gets it when it asks, until the command expires.',
    example: `device command SN-0001 reboot '{"delaySeconds":5}' --expires 15m --wait 1m`,
    folder: true,
    options: [
      { flags: '--expires <time>', text: 'RFC 3339 or a duration from now', default: '1h' },
      { flags: '--wait <duration>', text: 'wait for so long until the device has answered' },
    ],
    notes:
      'The device is named by its URN, EUI-64 or serial number; data is JSON (default: null). With --wait the exit code is 0 when the\ndevice answered, 1 when it refused, the command expired, or there is no answer yet.',
    run: send,
  })
  addCommand(device, terminal, {
    usage: 'commands <id>',
    summary: 'List the commands of a device, newest first, and what came of them.',
    example: 'device commands SN-0001',
    folder: true,
    run: list,
  })
}

async function send(line: Line): Promise<void> {
  const { terminal } = line
  const id = line.argument(0)
  const data = line.args[2] ?? 'null'
  requireJson(data)
  const expiresAt = parseTime(line.text('expires'), Date.now(), '--expires')
  const wait = line.optional('wait')
  const waitMs = wait === undefined ? undefined : parseDuration(wait, '--wait')
  const queued = await ask(line, 'command.send', { id, name: line.argument(1), data, expiresAt })
  if (waitMs === undefined) return say(terminal, queued)
  const last = await terminal.during('waiting for the device', outcome(line, queued, waitMs))
  say(terminal, last)
  if (last.state === 'answered') return
  terminal.exitCode = 1
  if (!ended.has(last.state))
    terminal.words(`No answer within ${wait}: the command is ${last.state}. See: device commands`)
}

/** As it was written: printed from what was parsed, long numbers would not be the device's. */
function say(terminal: Terminal, { text, ...document }: WrittenCommand): void {
  if (terminal.json) return terminal.text(text)
  const written = jsonMembers(text)
  const { data, result } = document
  terminal.text(
    outline({
      ...document,
      data: data === null ? null : written?.get('data'),
      result: result === null || typeof result === 'string' ? result : written?.get('result'),
    }),
  )
}

/** The command when it has ended, or as it is when the time is over. */
async function outcome(
  line: Line,
  { id, device }: WrittenCommand,
  waitMs: number,
): Promise<WrittenCommand> {
  const until = performance.now() + waitMs
  for (;;) {
    const now = await ask(line, 'command.show', { id: device, command: id })
    const left = until - performance.now()
    if (ended.has(now.state) || left <= 0) return now
    const untilOver = Date.parse(now.expires) - Date.now()
    // Its end is looked at when it comes; a server whose clock is behind says so a little later.
    await sleep(Math.min(lookMs, left, untilOver > 0 ? untilOver : lookMs))
  }
}

async function list(line: Line): Promise<void> {
  const rows = await ask(line, 'command.list', { id: line.argument(0), limit: listRows })
  if (line.terminal.json) return line.terminal.text(`[${rows.map(({ text }) => text).join(',')}]`)
  if (rows.length > 0)
    return line.terminal.text(
      table(
        ['command', 'name', 'state', 'created', 'expires', 'reason', 'by'],
        rows.map((row) => [
          row.id,
          row.name,
          row.state,
          row.created,
          row.expires,
          row.reason,
          row.actor,
        ]),
      ),
    )
  line.terminal.words('No commands were queued for this device.')
}

function requireJson(data: string): void {
  try {
    JSON.parse(data)
  } catch (cause) {
    const hint = `Data is JSON; text needs its own quotes: '"on"', '{"seconds":5}', 21.5.`
    throw new CallerError('ERR_USAGE', 'the data is not JSON', {}, { where: 'data', hint, cause })
  }
}
