import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { consoleLine } from '../../src/cli/console.ts'
import { createProgram } from '../../src/cli/program.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import { countersign } from './bin.ts'

/** Every verb that there is. One more is a deliberate change of this list. */
const verbs: readonly string[] = [
  'demo',
  'init',
  'serve',
  'console',
  'identity invite',
  'identity invitations',
  'identity uninvite',
  'identity list',
  'identity show',
  'identity suspend',
  'identity resume',
  'identity revoke',
  'identity retire',
  'identity why',
  'product add',
  'product set',
  'product list',
  'application add',
  'application list',
  'application test',
  'application letters',
  'application remove',
  'ca show',
  'ca issue',
  'ca revoke',
  'ca crl',
  'ca rollover',
  'ca anchor add',
  'ca anchor list',
  'ca anchor remove',
  'verify',
  'log verify',
  'device enroll',
  'device send',
  'device run',
  'device renew',
  'device show',
  'factory import',
  'device command',
  'device commands',
  'element list',
  'element info',
  'element attest',
  'element setup',
  'element works',
  'element emulate',
  'doctor',
  'backup',
  'restore',
]

function leaves(command: Command, path: readonly string[] = []): readonly [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]]
  return command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]))
}

function helpOf(command: Command): string {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text) })
  command.outputHelp()
  return help
}

describe('the line', () => {
  const program = createProgram(new Terminal(process, { json: false }))

  it('has exactly the verbs that the manual lists', () => {
    assert.deepEqual(
      leaves(program)
        .map(([name]) => name)
        .toSorted(),
      verbs.toSorted(),
    )
  })

  it('every verb says in one sentence what it is for, shows an example and takes --json', () => {
    for (const [name, command] of leaves(program)) {
      assert.match(command.description(), /^[A-Z].*\.$/, name)
      const help = helpOf(command)
      assert.match(help, new RegExp(`Example:\\n {2}\\$ countersign ${name}`), name)
      assert.match(help, /--json/, name)
    }
  })

  it('help costs no server: exit 0, on stdout', async () => {
    const { code, stdout, stderr } = await countersign(['--help'])
    assert.equal(code, 0)
    assert.match(stdout, /Usage: countersign/)
    assert.equal(stderr, '')
  })

  it('a wrong line ends with 2, words on stderr, the nearest right word', async () => {
    const [verb, option, lone, choice, missing, nothing, token, edhoc] = await Promise.all([
      countersign(['identity', 'revok', 'x']),
      countersign(['identity', 'list', '--stat', 'active']),
      countersign(['identity']),
      countersign(['identity', 'revoke', 'x', '--reason', 'boredom']),
      countersign(['identity', 'revoke']),
      countersign(['product', 'set', 'default']),
      countersign(['device', 'enroll', '--serial', 'SN-1']),
      countersign(['device', 'send', 'room', '1', '--edhoc-suite', '3']),
    ])
    for (const outcome of [verb, option, lone, choice, missing, nothing, token, edhoc]) {
      assert.equal(outcome.code, 2, outcome.stderr)
      assert.equal(outcome.stdout, '')
      assert.match(outcome.stderr, /hint: /)
    }
    assert.match(verb.stderr, /Did you mean revoke\?/)
    assert.match(option.stderr, /Did you mean --state\?/)
    assert.match(choice.stderr, /keyCompromise/)
    assert.match(edhoc.stderr, /--road coap/)
  })

  it('under --json a failure is one document on one line of stdout', async () => {
    const outcomes = await Promise.all([
      countersign(['identity', 'list', '--json', '--dir', '/nonexistent/folder']),
      countersign(['identity', 'invite', '--json', '--expires', 'soon']),
      countersign(['nonsense', '--json']),
    ])
    assert.deepEqual(
      outcomes.map(({ code }) => code),
      [1, 2, 2],
    )
    for (const { stdout } of outcomes) {
      assert.equal(stdout.trim().split('\n').length, 1)
      const { error } = JSON.parse(stdout) as { error: Record<string, unknown> }
      assert.deepEqual(Object.keys(error), ['code', 'message', 'where', 'hint'])
      assert.match(String(error['code']), /^ERR_/)
      assert.equal(typeof error['hint'], 'string')
    }
  })
})

describe('the line for another link to the page', () => {
  it('names the data folder that is not the default, as a shell takes it', () => {
    assert.equal(consoleLine(resolve('countersign-data')), 'countersign console')
    assert.equal(consoleLine('/srv/house-1'), 'countersign console --dir /srv/house-1')
    assert.equal(consoleLine("/srv/Ann's data"), "countersign console --dir '/srv/Ann'\\''s data'")
  })
})
