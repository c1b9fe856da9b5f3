/** `countersign log …`: the audit log, which cannot be rewritten unseen. */
import { CallerError } from '@countersign/core/errors'
import type { Command } from 'commander'
import { addCommand } from './command.ts'
import { ask } from './house.ts'
import { record, type Terminal } from './terminal.ts'

export function addLog(program: Command, terminal: Terminal): void {
  const log = program.command('log').description('The audit log.')
  addCommand(log, terminal, {
    usage: 'verify',
    summary: 'Check that no entry of the audit log was changed, removed or moved.',
    example: 'log verify --known 1042:5f0c…',
    folder: true,
    options: [
      {
        flags: '--known <entries:head>',
        text: 'what an earlier verify printed: the log must contain it',
      },
    ],
    notes:
      'Prints the number and the hash of the newest entry: written down elsewhere and given as --known, they\nprove later that nothing was cut off or replaced.',
    run: async (line) => {
      const known = line.optional('known')
      const verdict = await ask(
        line,
        'log.verify',
        known === undefined ? {} : { known: parseKnown(known) },
      )
      terminal.data(verdict, () =>
        record([
          ['entries', verdict.entries],
          ['head', verdict.head],
        ]),
      )
      terminal.words('The log is whole: no entry was changed, removed or moved.')
    },
  })
}

function parseKnown(text: string): { readonly seq: number; readonly hash: string } {
  const [, seq, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined || hash === undefined) {
    throw new CallerError(
      'ERR_USAGE',
      '--known is not <entries>:<head>',
      {},
      { where: '--known', hint: 'Give what an earlier "log verify" printed, as 1042:5f0c….' },
    )
  }
  return { seq: Number(seq), hash }
}
