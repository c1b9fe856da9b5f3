/**
 * `npm run bench -- [name …] [--connections N] [--devices N] [--write]`: runs benchmarks one after
 * the other; without a name, all of them. Each prints its figures, the anchor that was measured in
 * the same run, the ratio and the goal; with `--write` the table also goes into
 * docs/performance.md. Exit 1 when a goal was missed.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { markdown, plainText, type Report, reached } from './report.ts'

export interface Options {
  /** Open connections, where a benchmark holds some. */
  readonly connections: number
  /** Rows of the registry. */
  readonly devices: number
}

interface Benchmark {
  run(options: Options): Promise<Report>
}

const benchmarks: Readonly<Record<string, () => Promise<Benchmark>>> = {
  handshakes: () => import('./handshakes.ts'),
  resumption: () => import('./resumption.ts'),
  clientHandshakes: () => import('./clientHandshakes.ts'),
  clientBulk: () => import('./clientBulk.ts'),
  clientMemory: () => import('./clientMemory.ts'),
  clientSize: () => import('./clientSize.ts'),
  mqtt: () => import('./mqtt.ts'),
  mqttCodec: () => import('./mqttCodec.ts'),
  edhoc: () => import('./edhoc.ts'),
  narrowSize: () => import('./narrowSize.ts'),
  coap: () => import('./coap.ts'),
  coapMemory: () => import('./coapMemory.ts'),
  oscore: () => import('./oscore.ts'),
  memory: () => import('./memory.ts'),
  revoke: () => import('./revoke.ts'),
  registry: () => import('./registry.ts'),
  issuance: () => import('./issuance.ts'),
  crl: () => import('./crl.ts'),
  atecc608: () => import('./atecc608.ts'),
  pkcs11: () => import('./pkcs11.ts'),
  elementHandshakes: () => import('./elementHandshakes.ts'),
  quickjs: () => import('./quickjs.ts'),
  narrowQuickjs: () => import('./narrowQuickjs.ts'),
}
const page = new URL('../docs/performance.md', import.meta.url)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: 'string', default: '5000' },
    devices: { type: 'string', default: '1000000' },
    write: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !Object.hasOwn(benchmarks, name))
if (unknown.length > 0) {
  print(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benchmarks).join(', ')}`)
  process.exitCode = 2
} else {
  print(machine())
  const options = { connections: Number(values.connections), devices: Number(values.devices) }
  for (const [name, load] of Object.entries(benchmarks)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    print(`\n${name}`)
    const report = await (await load()).run(options)
    print(plainText(report))
    if (values.write) write(name, report)
    if (!report.goals.every(reached)) process.exitCode = 1
  }
}

function machine(): string {
  const { version, versions } = process
  return `Node ${version} (OpenSSL ${versions.openssl}), ${availableParallelism()} cores`
}

/** Between the marks of this benchmark; what stands around them was written by people. */
function write(name: string, report: Report): void {
  const text = readFileSync(page, 'utf8')
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no ${begin} … ${end}`)
  const made = `Made at commit ${commit()}: ${machine()}.`
  const section = `${begin}\n\n${markdown(report)}\n\n${made}\n\n`
  writeFileSync(page, text.slice(0, from) + section + text.slice(to))
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
