/**
 * A reporter for node:test that is silent while all is green: failures in full, skipped tests with
 * their reasons, and the counts. The runner does not look into a suite that is skipped and counts none
 * of its tests: here such suites are counted beside the tests.
 */

import type { TestEvent } from 'node:test/reporters'
import { inspect } from 'node:util'

interface Skipped {
  tests: number
  suites: number
}

export default async function* quietReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const output = new Map<string, string>()
  const skipped = new Map<string, Skipped>()
  for await (const event of source) {
    switch (event.type) {
      case 'test:stdout':
      case 'test:stderr':
        output.set(event.data.file, (output.get(event.data.file) ?? '') + event.data.message)
        break
      case 'test:pass': {
        const { skip, details } = event.data
        if (skip !== undefined) {
          const reason = typeof skip === 'string' && skip !== '' ? skip : 'no reason given'
          const count = skipped.get(reason) ?? { tests: 0, suites: 0 }
          count[details.type === 'suite' ? 'suites' : 'tests']++
          skipped.set(reason, count)
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
  for (const [reason, count] of skipped) yield `skipped ${inWords(count)}: ${reason}\n`
}

function inWords({ tests, suites }: Skipped): string {
  const of = [
    tests > 0 ? [counted(tests, 'test')] : [],
    suites > 0 ? [counted(suites, 'whole suite')] : [],
  ]
  return of.flat().join(' and ')
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function describe(error: Error): string {
  return inspect(error.cause ?? error, { depth: 4 })
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}
