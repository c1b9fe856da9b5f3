/** Who is asked for the PIN of a token, and what is seen of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pin, skip, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { pinAsker } from '../../src/cli/passphrase.ts'
import { runOn, type Stage, stage } from './here.ts'

type AskPin = (token: string) => Promise<string>

function askerOn({ terminal }: Stage): AskPin {
  return pinAsker(terminal).askPin ?? assert.fail('nobody is asked')
}

test('without a terminal nobody is asked for a PIN', () => {
  assert.deepEqual(pinAsker(stage().terminal), {})
})

test('each token is asked about once, on the terminal, and what is typed is not shown', async () => {
  const on = stage({ attended: true })
  const ask = askerOn(on)
  const one = ask('dev')
  on.stdin.write('271828\n')
  assert.equal(await one, '271828')
  assert.equal(ask('dev'), one)
  assert.equal(on.stderr(), 'PIN of the token dev: \n')
  const other = ask('other')
  on.stdin.write('31415926\n')
  assert.equal(await other, '31415926')
  assert.equal(ask('dev'), one)
  assert.equal(on.stderr(), 'PIN of the token dev: \nPIN of the token other: \n')
  assert.equal(on.stdout(), '')
})

test('the name that a token gives itself moves nothing on the terminal', async () => {
  const on = stage({ attended: true })
  const asked = askerOn(on)('\u001b[2Jdev\u202e')
  on.stdin.write('1\n')
  await asked
  assert.equal(on.stderr(), 'PIN of the token \ufffd[2Jdev\ufffd: \n')
})

for (const [name, answer] of [
  ['an empty line', (on: Stage) => on.stdin.write('\n')],
  ['the end of the input', (on: Stage) => on.stdin.end()],
] as const) {
  test(`${name} is no PIN, and is said so`, async () => {
    const on = stage({ attended: true })
    const asked = askerOn(on)('dev')
    answer(on)
    await assert.rejects(asked, {
      code: 'ERR_PIN_MISSING',
      message: 'no PIN was given for the token dev',
    })
  })
}

function urlWithoutFile(label: string): string {
  return softTokens()(label)
    .url('key')
    .replace(/&pin-source=.*$/, '')
}

test('a command opens the token with the PIN that was typed, and shows it nowhere', {
  skip,
}, async () => {
  const on = stage({ attended: true })
  on.stdin.write(`${pin}\n`)
  const { code, stdout, stderr } = await runOn(on, ['element', 'info', urlWithoutFile('typed')])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /SoftHSM/)
  assert.equal(stderr, 'PIN of the token typed: \n')
  assert.doesNotMatch(stdout, new RegExp(pin))
})

test('a wrong PIN is refused by the token and is in no error; without a terminal none is tried', {
  skip,
}, async () => {
  const url = urlWithoutFile('mistyped')
  const on = stage({ attended: true })
  on.stdin.write('wrong-one\n')
  const wrong = await runOn(on, ['element', 'info', url])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /CKR_PIN_INCORRECT/)
  assert.doesNotMatch(wrong.stdout + wrong.stderr, /wrong-one/)
  const unattended = stage()
  unattended.stdin.end()
  const alone = await runOn(unattended, ['element', 'info', url])
  assert.equal(alone.code, 1)
  assert.match(alone.stderr, /the token needs a PIN/)
})
