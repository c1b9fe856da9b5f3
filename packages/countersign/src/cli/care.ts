/** `countersign doctor|backup|restore`: looking after a data folder. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { ask } from './house.ts'
import { devPassphraseFile, passphraseFor } from './passphrase.ts'
import { record, type Terminal } from './terminal.ts'

export function addCare(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'doctor',
    summary: 'Check the data folder, its certificates, the clock, the ports and the configuration.',
    example: 'doctor --dir ./countersign-data',
    folder: true,
    notes:
      'Exit 1 when a check fails; warnings alone leave 0. The passphrase is checked when it is given.',
    run: doctor,
  })
  addCommand(program, terminal, {
    usage: 'backup <file>',
    summary: 'Write the whole data folder into one file, also while serve runs.',
    example: 'backup /backup/countersign-2027-01-31.backup',
    folder: true,
    notes:
      'In it: the database, the keys (encrypted as they are) and the configuration. Not in it: the passphrase (but for\nfolders of init --dev, which keep it beside the keys), a root.key that was carried away, CA keys in a token\n(init --ca-token), and live sessions.',
    run: backup,
  })
  addCommand(program, terminal, {
    usage: 'restore <file>',
    summary: 'Make a data folder from a backup; the folder is a new or an empty one.',
    example: 'restore /backup/countersign-2027-01-31.backup --dir ./restored',
    folder: true,
    notes:
      'The passphrase is the one the folder had when the backup was made. What happened after the backup is not in\nit: a device revoked later is active again, so look at "identity list" before you serve.',
    run: restore,
  })
}

const marks = { ok: ['green', '✓'], warn: ['yellow', '!'], fail: ['red', '✗'] } as const

async function doctor(line: Line): Promise<void> {
  const { examine } = await import('@countersign/server')
  const { dir, terminal } = line
  // Nobody is asked for a passphrase by a command that only looks.
  const given =
    line.optional('passphraseFile') ??
    process.env['COUNTERSIGN_PASSPHRASE_FILE'] ??
    (await stat(join(dir, devPassphraseFile)).catch(() => undefined))
  const passphrase = given === undefined ? undefined : await passphraseFor(line)
  const report = await terminal.during('checking', examine(dir, { passphrase }))
  terminal.data(report, () =>
    report.checks
      .map(({ name, verdict, message, remedy }) => {
        const [paint, mark] = marks[verdict]
        const advice = remedy === null ? '' : `\n    → ${remedy}`
        return `${terminal.paintData(paint, mark)} ${name}: ${message}${advice}`
      })
      .join('\n'),
  )
  if (report.config !== null && !terminal.json) {
    terminal.text(`\nconfiguration in effect\n${JSON.stringify(report.config, null, 2)}`)
  }
  if (!report.ok) terminal.exitCode = 1
}

async function backup(line: Line): Promise<void> {
  const file = resolve(line.argument(0))
  const made = await ask(line, 'house.backup', { file })
  line.terminal.data(made, () =>
    record([
      ['file', made.file],
      ['bytes', made.bytes],
    ]),
  )
  if (made.passphraseInside) {
    line.terminal.warn('this folder is one of init --dev: its passphrase is in the backup too')
  } else line.terminal.words('The passphrase is not in it: keep it elsewhere.')
  if (made.caToken !== null) {
    line.terminal.words(`The CA keys are not in it: they are in the token ${made.caToken} alone.`)
  }
}

async function restore(line: Line): Promise<void> {
  const { restoreHouse } = await import('@countersign/server')
  const file = resolve(line.argument(0))
  const made = await line.terminal.during('unpacking', restoreHouse(file, line.dir))
  line.terminal.data(made, () =>
    record([
      ['data folder', made.dir],
      ['backup made', made.madeAt],
    ]),
  )
  if (made.caToken !== null) {
    line.terminal.words(
      `Its CA keys are in the token ${made.caToken}: put it in, and see "caToken" in config.json.`,
    )
  }
  line.terminal.words(`Next: countersign doctor --dir ${line.dir}`)
}
