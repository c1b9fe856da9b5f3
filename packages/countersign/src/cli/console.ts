/** `countersign console`: a link that opens the page of the running `serve` once. */
import type { Command } from 'commander'
import { addCommand, defaultDir } from './command.ts'
import { ask } from './house.ts'
import type { Terminal } from './terminal.ts'

export function addConsole(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'console',
    summary: 'Print a one-time link to the page of the running serve.',
    example: 'console --dir ./countersign-data',
    folder: true,
    notes:
      'The link opens once, within ten minutes, in a browser on this machine; the session it opens lasts twelve hours.\nWhoever has the link has the page: do not pass it on.',
    run: async (line) => {
      const link = await ask(line, 'console.link', {})
      terminal.data(link, () => link.url)
      terminal.words(`Opens once, until ${link.expires}.`)
    },
  })
}

/** What to type for another link to the page of this folder. */
export function consoleLine(dir: string): string {
  if (dir === defaultDir()) return 'countersign console'
  const isPlain = /^[\w@%+=:,./-]+$/.test(dir)
  return `countersign console --dir ${isPlain ? dir : `'${dir.replaceAll("'", "'\\''")}'`}`
}
