/** `countersign log …`: the audit log, which cannot be rewritten unseen. */
import type { Command } from 'commander'
import { addCommand } from './command.ts'
import { ask } from './house.ts'
import { record, type Terminal } from './terminal.ts'

export function addLog(program: Command, terminal: Terminal): void {
  const log = program.command('log').description('The audit log.')
  addCommand(log, terminal, {
    usage: 'verify',
    summary: 'Check that no entry of the audit log was changed, removed or moved.',
    example: 'log verify',
    folder: true,
    notes:
      'Prints the hash of the newest entry: written down elsewhere, it proves later that nothing was cut off.',
    run: async (line) => {
      const verdict = await ask(line, 'log.verify', {})
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
