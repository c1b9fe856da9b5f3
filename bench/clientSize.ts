/**
 * How large the TLS client is on a device: core's client and judge in one file, minified, without
 * any cryptography, which comes through the port.
 */
import { gzipSync } from 'node:zlib'
import { bundleClient } from '../packages/core/test/tls/bundle.ts'
import { type Report, whole } from './report.ts'
import { wordsIn } from './words.ts'

const wantedBytes = 70_000
const shownModules = 12

const rooms = [
  ['TLS', /core\/src\/tls\//],
  ['credential check', /core\/src\/credential\//],
  ['codec, errors', /core\/src\/(?:codec\/|errors)/],
] as const

export async function run(): Promise<Report> {
  const { text, modules } = await bundleClient()
  const bytes = Buffer.from(text)
  const sum = (of: RegExp): number =>
    modules.filter(([path]) => of.test(path)).reduce((total, [, size]) => total + size, 0)
  return {
    tables: [
      {
        columns: ['part', 'bytes'],
        rows: [
          ['**all of it**, minified', whole(bytes.length)],
          ['the same, gzip', whole(gzipSync(bytes, { level: 9 }).length)],
          ...rooms.map(([name, of]) => [name, whole(sum(of))]),
          ['words: what errors say, and their hints', whole(wordsIn(text))],
        ],
      },
      {
        columns: ['largest modules', 'bytes'],
        rows: modules
          .slice(0, shownModules)
          .map(([path, size]) => [`\`${path.replace('packages/core/src/', '')}\``, whole(size)]),
      },
    ],
    goals: [
      {
        what: 'TLS client and judge, minified',
        ratio: bytes.length / 1000,
        wanted: wantedBytes / 1000,
        sense: 'at most',
        unit: ' kB',
      },
    ],
    notes: ['One file for no platform, by esbuild; cryptography comes through the port.'],
  }
}
