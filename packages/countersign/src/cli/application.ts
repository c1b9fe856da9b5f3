/** `countersign application …`: who receives the messages. */
import { readFile, stat } from 'node:fs/promises'
import { CallerError } from '@countersign/core/errors'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { ask } from './house.ts'
import { outline, record, type Terminal, table } from './terminal.ts'

export function addApplication(program: Command, terminal: Terminal): void {
  const application = program.command('application').description('Who receives the messages.')
  addCommand(application, terminal, {
    usage: 'add <name>',
    summary: 'Add an application; its token and webhook secret are shown this once.',
    example: 'application add weather --webhook https://example.com/hook',
    folder: true,
    options: [
      { flags: '--webhook <url>', text: 'where each event is posted, signed' },
      {
        flags: '--csr <file>',
        text: 'PKCS#10 request for its certificate, with which it reads mqtts',
      },
    ],
    run: add,
  })
  addCommand(application, terminal, {
    usage: 'list',
    summary: 'List the applications and how far each has read.',
    example: 'application list',
    folder: true,
    run: list,
  })
  addCommand(application, terminal, {
    usage: 'test <name>',
    summary: 'Send one test event to the webhook of an application and say what came back.',
    example: 'application test weather',
    folder: true,
    run: test,
  })
  addCommand(application, terminal, {
    usage: 'letters <name>',
    summary: 'List the dead letters of an application: events that its webhook did not take.',
    example: 'application letters weather --redeliver',
    folder: true,
    options: [
      { flags: '--redeliver', text: 'offer them again, oldest first, until one is refused' },
    ],
    run: letters,
  })
  addCommand(application, terminal, {
    usage: 'remove <name>',
    summary: 'Remove an application; its token stops working at once.',
    example: 'application remove weather',
    folder: true,
    run: async (line) => {
      const removed = await ask(line, 'application.remove', { name: line.argument(0) })
      line.terminal.data(removed, () => record([['removed', removed.name]]))
    },
  })
}

async function add(line: Line): Promise<void> {
  const file = line.optional('csr')
  const added = await ask(line, 'application.add', {
    name: line.argument(0),
    webhook: line.optional('webhook'),
    csr: file === undefined ? undefined : await readBase64(file),
  })
  line.terminal.data(added, () => {
    const fields = record([
      ['id', added.id],
      ['token', added.token],
      ['secret', added.secret],
      ['webhook', added.webhook],
    ])
    return added.certificate === undefined ? fields : `${fields}\n${added.certificate}`
  })
  line.terminal.words(
    'Keep the token (events door) and the secret (webhook signatures): they are not shown again.',
  )
}

async function list(line: Line): Promise<void> {
  const rows = await ask(line, 'application.list', {})
  line.terminal.data(rows, () =>
    rows.length === 0
      ? ''
      : table(
          ['name', 'id', 'webhook', 'state', 'read up to', 'dead letters'],
          rows.map((row) => [
            row.name,
            row.id,
            row.webhook,
            row.webhook === null ? null : row.webhookState,
            row.cursor,
            row.deadLetters,
          ]),
        ),
  )
  if (rows.length === 0) {
    line.terminal.words('No applications. Add one with: countersign application add NAME')
  }
}

async function letters(line: Line): Promise<void> {
  const name = line.argument(0)
  if (line.flag('redeliver')) {
    const outcome = await ask(line, 'application.redeliver', { name })
    line.terminal.data(outcome, () => outline(outcome))
    if (outcome['error'] !== null) line.terminal.exitCode = 1
    return
  }
  const rows = await ask(line, 'application.letters', { name })
  line.terminal.data(rows, () =>
    rows.length === 0
      ? ''
      : table(
          ['message', 'since', 'attempts', 'last error'],
          rows.map((row) => [row.seq, row.createdAt, row.attempts, row.lastError]),
        ),
  )
  if (rows.length === 0) line.terminal.words('No dead letters.')
}

async function test(line: Line): Promise<void> {
  const outcome = await ask(line, 'application.test', { name: line.argument(0) })
  line.terminal.data(outcome, () => outline(outcome))
  if (outcome['ok'] === false) line.terminal.exitCode = 1
}

/** Larger than any request or certificate that the house parses. */
const fileBytesMax = 64 * 1024

/** A file of PEM or DER as base64 of its bytes; the house parses it. */
export async function readBase64(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > fileBytesMax) {
    throw new CallerError(
      'ERR_USAGE',
      `the file has ${size} bytes; at most ${fileBytesMax} make sense`,
      {},
      { where: file, hint: 'Is this the right file? One PEM or DER object is expected.' },
    )
  }
  return (await readFile(file)).toString('base64')
}
