import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFloors, importsOf, linesMax, type Manifest } from '../floors.ts'

const manifests = new Map<string, Manifest>([
  [
    'core',
    { name: '@countersign/core', exports: { './codec': 'x', './credential': 'x', './link': 'x' } },
  ],
  ['element', { name: '@countersign/element', dependencies: { '@countersign/core': '0' } }],
  ['gateway', { name: '@countersign/gateway', dependencies: { '@countersign/core': '0' } }],
  [
    'device',
    {
      name: '@countersign/device',
      dependencies: { '@countersign/core': '0', '@countersign/element': '0' },
    },
  ],
  [
    'server',
    {
      name: '@countersign/server',
      dependencies: { '@countersign/core': '0', hono: '0' },
      exports: { '.': 'x' },
    },
  ],
])

function rulesBroken(path: string, text: string): string[] {
  return checkFloors([{ path, text }], manifests).map((violation) => violation.rule)
}

const planted: [name: string, path: string, text: string, rule: string][] = [
  [
    'core imports a floor above it',
    'packages/core/src/codec/a.ts',
    "import { x } from '@countersign/element'",
    'floor',
  ],
  [
    'core imports node',
    'packages/core/src/codec/a.ts',
    "import { readFileSync } from 'node:fs'",
    'portable',
  ],
  [
    'core imports a library',
    'packages/core/src/codec/a.ts',
    "import x from 'cborg'",
    'dependencies',
  ],
  [
    'noble outside its room',
    'packages/core/src/tls/a.ts',
    "import { sha256 } from '@noble/hashes/sha2.js'",
    'dependencies',
  ],
  [
    'a lower room imports a higher one',
    'packages/core/src/codec/a.ts',
    "import type { X } from '../credential/types.ts'",
    'room',
  ],
  [
    'a type import counts too',
    'packages/core/src/link/a.ts',
    "import type { X } from '../credential/types.ts'",
    'room',
  ],
  [
    'an inline type import counts too',
    'packages/core/src/link/a.ts',
    "let x: import('../credential/types.ts').X",
    'room',
  ],
  [
    'the gateway reads credentials',
    'packages/gateway/src/a.ts',
    "import { x } from '@countersign/core/credential'",
    'gateway',
  ],
  [
    'the device imports the server',
    'packages/device/src/a.ts',
    "import { x } from '@countersign/server'",
    'floor',
  ],
  [
    'portable device code imports the element',
    'packages/device/src/portable/a.ts',
    "import { x } from '@countersign/element'",
    'exports',
  ],
  [
    'portable device code imports node',
    'packages/device/src/portable/a.ts',
    "import 'node:net'",
    'portable',
  ],
  [
    'a deep import past the exports',
    'packages/server/src/frontend/a.ts',
    "import { x } from '@countersign/core/codec/der.ts'",
    'exports',
  ],
  [
    'a relative path out of the package',
    'packages/server/src/frontend/a.ts',
    "import { x } from '../../../core/src/codec/der.ts'",
    'exports',
  ],
  [
    'one server room imports another',
    'packages/server/src/frontend/a.ts',
    "import { x } from '../registry/registry.ts'",
    'room',
  ],
  [
    'a room imports the composition',
    'packages/server/src/frontend/a.ts',
    "import { x } from '../compose.ts'",
    'room',
  ],
  [
    'an adapter named outside compose',
    'packages/server/src/registry/a.ts',
    "import { x } from '../store/sqlite.ts'",
    'adapter',
  ],
  [
    "a driver that takes its emulator's coder",
    'packages/element/src/drivers/chip/a.ts',
    "import { crc16 } from '../../emulators/chip/crc16.ts'",
    'adapter',
  ],
  [
    "an emulator that takes its driver's coder",
    'packages/element/src/emulators/chip/a.ts',
    "import { crc16 } from '../../drivers/chip/crc.ts'",
    'adapter',
  ],
  [
    'a library missing from the manifest',
    'packages/server/src/frontend/a.ts',
    "import x from 'express'",
    'manifest',
  ],
  [
    'a computed import',
    'packages/server/src/frontend/a.ts',
    'const x = await import(name)',
    'literal',
  ],
  ['a package without a floor', 'packages/extra/src/a.ts', 'export {}', 'package'],
  ['a file that is too long', 'packages/core/src/codec/a.ts', '\n'.repeat(linesMax), 'size'],
]

for (const [name, path, text, rule] of planted) {
  test(`a planted violation is found: ${name}`, () => {
    assert.deepEqual(rulesBroken(path, text), [rule])
  })
}

const allowed: [name: string, path: string, text: string][] = [
  [
    'credential uses codec',
    'packages/core/src/credential/a.ts',
    "import { x } from '../codec/der.ts'",
  ],
  [
    'everyone uses the ports',
    'packages/core/src/codec/a.ts',
    "import type { X } from '../ports.ts'",
  ],
  [
    'noble in its own room',
    'packages/core/src/crypto/noble.ts',
    "import type { X } from '../ports.ts'",
  ],
  [
    'a room uses the server ports',
    'packages/server/src/frontend/a.ts',
    "import type { X } from '../ports.ts'",
  ],
  [
    'compose names the adapter',
    'packages/server/src/compose.ts',
    "import { x } from './store/sqlite.ts'",
  ],
  [
    'a bus is what both know',
    'packages/element/src/emulators/chip/a.ts',
    "import type { I2cBus } from '../../bus/ports.ts'",
  ],
  ['a declared library', 'packages/server/src/frontend/a.ts', "import { Hono } from 'hono'"],
  [
    'a workspace at its exports',
    'packages/server/src/frontend/a.ts',
    "import { x } from '@countersign/core/codec'",
  ],
  [
    'an import inside a comment',
    'packages/core/src/codec/a.ts',
    "// import x from 'cborg'\n/* import y from 'z' */",
  ],
]

for (const [name, path, text] of allowed) {
  test(`what is allowed passes: ${name}`, () => {
    assert.deepEqual(rulesBroken(path, text), [])
  })
}

test('imports are found over several lines and in exports', () => {
  const text =
    "import {\n  a,\n  type B,\n} from './x.ts'\nexport * from './y.ts'\nexport type { C } from './z.ts'\n"
  assert.deepEqual(
    importsOf(text)
      .map((found) => found.specifier)
      .toSorted(),
    ['./x.ts', './y.ts', './z.ts'],
  )
})
