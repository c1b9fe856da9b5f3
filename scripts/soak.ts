/**
 * `npm run soak [-- NAME …] [--seed N]`: the long seeded runs of which `npm test` takes a slice.
 * Prints what docs/soak.md keeps: seed, commit and command of each run, and exits 1 when one
 * failed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

interface Soak {
  readonly file: string
  /** The environment variable that the test reads, and the full number. */
  readonly knob: string
  readonly full: number
  readonly what: string
}

const soaks: Readonly<Record<string, Soak>> = {
  store: {
    file: 'packages/server/test/store/powerCut.test.ts',
    knob: 'POWER_CUTS',
    full: 1000,
    what: 'the process that writes the store is killed at a random moment',
  },
  lives: {
    file: 'packages/server/test/registry/model.test.ts',
    knob: 'LIVES',
    full: 300,
    what: 'random lives of devices are compared with a model',
  },
  serve: {
    file: 'packages/countersign/test/cli/crash.test.ts',
    knob: 'SERVE_KILLS',
    full: 100,
    what: 'serve is killed while operators change things through it',
  },
  device: {
    file: 'packages/countersign/test/device/kill.test.ts',
    knob: 'DEVICE_KILLS',
    full: 200,
    what: 'device run is killed while it sends',
  },
  restart: {
    file: 'packages/countersign/test/device/restart.test.ts',
    knob: 'SERVER_KILLS',
    full: 100,
    what: 'serve is killed and started again under a running device',
  },
  coap: {
    file: 'packages/countersign/test/coap/lives.test.ts',
    knob: 'COAP_LIVES',
    full: 200,
    what: 'devices and the coap door in virtual time, attacked and stopped at any step',
  },
  coapSteps: {
    file: 'packages/countersign/test/coap/steps.test.ts',
    knob: 'COAP_STEPS',
    full: 200,
    what: 'a conversation over coap, stopped at its first step, its second and so to the last, on either side',
  },
  coapKill: {
    file: 'packages/countersign/test/coap/kill.test.ts',
    knob: 'COAP_KILLS',
    full: 200,
    what: 'device run and serve are killed while they speak over coap and somebody attacks',
  },
  chips: {
    file: 'packages/element/test/drivers/atecc608/lives.test.ts',
    knob: 'CHIP_LIVES',
    full: 2000,
    what: 'random lives of an emulated ATECC608 under faults, with one driver and with two',
  },
  element: {
    file: 'packages/countersign/test/device/elementKill.test.ts',
    knob: 'ELEMENT_KILLS',
    full: 200,
    what: 'device enroll, send and renew are killed, with a chip and with a token',
  },
  relay: {
    file: 'packages/countersign/test/device/relayShared.test.ts',
    knob: 'RELAY_SIGNATURES',
    full: 500,
    what: 'two processes sign with one chip behind a relay, each so often',
  },
}

const root = fileURLToPath(new URL('..', import.meta.url))
const say = (text: string): void => void process.stdout.write(`${text}\n`)

function run(name: string, soak: Soak, seed: number, times: number): boolean {
  const { knob, file, what } = soak
  const begun = performance.now()
  const { status } = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=./scripts/quietReporter.ts', file],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, [knob]: String(times), SEED: String(seed) },
    },
  )
  const seconds = Math.round((performance.now() - begun) / 1000)
  const verdict = status === 0 ? 'passed' : 'FAILED'
  say(`${name}: ${verdict}: ${times} times, ${what}; seed ${seed}, ${seconds} s\n`)
  return status === 0
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: 'string' }, times: { type: 'string' } },
  })
  const names = positionals.length > 0 ? positionals : Object.keys(soaks)
  const seed = Number(values.seed ?? randomInt(2 ** 31))
  say(`commit ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root }).toString()}`)
  for (const name of names) {
    const soak = Object.hasOwn(soaks, name) ? soaks[name] : undefined
    if (soak === undefined) {
      say(`no soak ${name}; there are ${Object.keys(soaks).join(', ')}`)
      process.exitCode = 2
      return
    }
    if (!run(name, soak, seed, Number(values.times ?? soak.full))) process.exitCode = 1
  }
}

main()
