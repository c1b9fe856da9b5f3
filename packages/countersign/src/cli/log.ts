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
    run: async (line) => {
      const verdict = await ask(line, 'log.verify', {})
      terminal.data(verdict, () =>
        record(Object.entries(verdict).map(([name, value]) => [name, String(value)])),
      )
      if (!verdict.ok) terminal.exitCode = 1
    },
  })
}
