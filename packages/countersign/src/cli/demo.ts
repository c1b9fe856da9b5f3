/** `countersign demo`: the whole story on this machine. */
import type { Command } from 'commander'
import { addCommand } from './command.ts'
import type { Terminal } from './terminal.ts'

export function addDemo(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'demo',
    summary:
      'Show the whole story on this machine: authority, devices, hostile gateway, revocation.',
    example: 'demo --exit --json',
    options: [
      { flags: '--exit', text: 'end by itself with a report' },
      { flags: '--seed <n>', text: 'what the hostile gateway does' },
    ],
    run: async (line) => {
      const { runDemo } = await import('../demo/demo.ts')
      terminal.exitCode = await runDemo({
        exit: line.flag('exit'),
        json: terminal.json,
        seed: line.whole('seed', { min: 0, max: 0xffff_ffff }),
      })
    },
  })
}
