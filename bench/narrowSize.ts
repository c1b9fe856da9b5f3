/**
 * How large the narrow channel is on a device: EDHOC, OSCORE, CoAP and the judge of the server's
 * certificate in one file, minified, without any cryptography, which comes through the port.
 */
import { gzipSync } from 'node:zlib'
import { bundle } from '../packages/core/test/tls/bundle.ts'
import { type Report, type Table, whole } from './report.ts'
import { wordsIn } from './words.ts'

const wantedBytes = 50_000
const shownModules = 16

const entries = {
  all: "export { NarrowSession, trustPinnedIssuer } from '@countersign/device/narrow'",
  unjudged: "export { NarrowSession } from '@countersign/device/narrow'",
}

const rooms = [
  ['credential check: judge, paths, X.509', /core\/src\/credential\//],
  ['CoAP', /core\/src\/coap\//],
  ['OSCORE', /core\/src\/oscore\//],
  ['EDHOC, and over CoAP', /core\/src\/(?:edhoc|channel)\//],
  ['COSE', /core\/src\/cose\//],
  ['DER, CBOR, errors', /core\/src\/(?:codec\/|errors|verdict)/],
  ['the session of a device', /device\/src\/portable\/narrow\//],
] as const

export async function run(): Promise<Report> {
  const { text, modules } = await bundle(entries.all)
  const unjudged = await bundle(entries.unjudged)
  const bytes = Buffer.from(text)
  const sum = (of: RegExp): number =>
    modules.filter(([path]) => of.test(path)).reduce((total, [, size]) => total + size, 0)
  const parts: Table = {
    columns: ['part', 'bytes'],
    rows: [
      ['**all of it**, minified', whole(bytes.length)],
      ['the same, gzip', whole(gzipSync(bytes, { level: 9 }).length)],
      ['without the judge, which the firmware may bring', whole(unjudged.text.length)],
      ...rooms.map(([name, of]) => [name, whole(sum(of))]),
      ['words: what errors say, and their hints', whole(wordsIn(text))],
    ],
  }
  const largest: Table = {
    columns: ['largest modules', 'bytes'],
    rows: modules
      .slice(0, shownModules)
      .map(([path, size]) => [`\`${path.replace('packages/', '')}\``, whole(size)]),
  }
  return {
    tables: [parts, largest],
    goals: [
      {
        what: 'narrow channel and judge, minified',
        ratio: bytes.length / 1000,
        wanted: wantedBytes / 1000,
        sense: 'at most',
        unit: ' kB',
      },
    ],
    notes: ['One file for no platform, by esbuild; cryptography comes through the port.'],
  }
}
