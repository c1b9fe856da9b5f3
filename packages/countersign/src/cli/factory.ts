/** `countersign factory …`: what comes from the factories of elements and devices. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { ask } from './house.ts'
import { record, type Terminal } from './terminal.ts'

export function addFactory(program: Command, terminal: Terminal): void {
  const factory = program.command('factory').description("Elements and their makers' word.")
  addCommand(factory, terminal, {
    usage: 'import <file>',
    summary: 'Import manifests of secure elements: what their maker says of the keys in them.',
    example: 'factory import manifest.json',
    folder: true,
    notes:
      'A JSON array of JWS, or one, signed by a certificate that "ca anchor add --role manifest" named. All of it is\nimported or nothing; what is here already is counted and left as it is.',
    run: importManifests,
  })
}

async function importManifests(line: Line): Promise<void> {
  const file = resolve(line.argument(0))
  const done = await line.terminal.during('importing', ask(line, 'factory.import', { file }))
  line.terminal.data(done, () =>
    record([
      ['elements', done.elements],
      ['imported', done.imported],
      ['known', done.known],
      ['keys', done.keys],
    ]),
  )
}
