/**
 * `npm run bench -- <name> …`: runs benchmarks one after the other; without a name, all of them.
 * Exit 1 when a goal was missed. Each prints its figures, the anchor it is measured against in the
 * same run, and their ratio.
 */
import { print } from './measure.ts'

interface Benchmark {
  /** Answers whether every goal was reached. */
  run(): Promise<boolean>
}

const benchmarks: Readonly<Record<string, () => Promise<Benchmark>>> = {
  issuance: () => import('./issuance.ts'),
  crl: () => import('./crl.ts'),
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !Object.hasOwn(benchmarks, name))
if (unknown.length > 0) {
  print(`no benchmark ${unknown.join(', ')}; there are ${Object.keys(benchmarks).join(', ')}`)
  process.exitCode = 2
} else {
  print(`node ${process.version}, OpenSSL ${process.versions.openssl}`)
  for (const [name, load] of Object.entries(benchmarks)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    print(`\n${name}`)
    if (!(await (await load()).run())) process.exitCode = 1
  }
}
