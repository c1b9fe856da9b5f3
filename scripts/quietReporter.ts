/**
 * A reporter for node:test that is silent while all is green: failures in full, skipped tests with
 * their reasons, and the counts.
 */

import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

export default async function* quietReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const output = new Map<string, string>()
  const skipped = new Map<string, number>()
  for await (const event of source) {
    switch (event.type) {
      case 'test:stdout':
      case 'test:stderr':
        output.set(event.data.file, (output.get(event.data.file) ?? '') + event.data.message)
        break
      case 'test:pass': {
        const { skip } = event.data
        if (skip !== undefined) {
          const reason = typeof skip === 'string' && skip !== '' ? skip : 'no reason given'
          skipped.set(reason, (skipped.get(reason) ?? 0) + 1)
        }
        break
      }
      case 'test:fail': {
        const { name, file, details } = event.data
        yield `\n✖ ${name}\n  ${file ?? ''}\n${indent(describe(details.error))}\n`
        const said = file === undefined ? undefined : output.get(file)
        if (said !== undefined && said !== '') {
          yield `${indent(said)}\n`
          output.delete(file ?? '')
        }
        break
      }
      case 'test:diagnostic':
        if (event.data.nesting === 0 && event.data.file === undefined)
          yield `# ${event.data.message}\n`
        break
      default:
        break
    }
  }
  for (const [reason, count] of skipped) yield `skipped ${count}: ${reason}\n`
}

function describe(error: Error): string {
  return inspect(error.cause ?? error, { depth: 4 })
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}
