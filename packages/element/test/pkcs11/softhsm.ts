/**
 * SoftHSM for one test file: token folders of its own below a temporary one. SoftHSM reads
 * SOFTHSM2_CONF when it is initialized, so it stands in this process's environment before.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Cryptoki, LoadCryptoki } from '../../src/drivers/pkcs11/cryptoki.ts'
import { loadCryptoki } from '../../src/drivers/pkcs11/native.ts'

const modules = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
]

export const modulePath: string = modules.find((path) => existsSync(path)) ?? modules[0] ?? ''

/** Why tokens cannot be tested here; false when they can. A failure when PEERS=required. */
export const skip: string | false = await missing()

async function missing(): Promise<string | false> {
  const reason = await whatIsMissing()
  if (reason !== false) assert.notEqual(process.env['PEERS'], 'required', reason)
  return reason
}

async function whatIsMissing(): Promise<string | false> {
  if (!existsSync(modulePath)) return 'softhsm2 is not installed'
  for (const tool of ['softhsm2-util', 'pkcs11-tool']) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' })
    } catch {
      return `${tool} is not installed`
    }
  }
  try {
    await loadCryptoki(modulePath)
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export const pin = '271828'

export interface SoftToken {
  readonly label: string
  readonly pinFile: string
  /** Where SoftHSM keeps it. */
  readonly folder: string
  url(object?: string, extra?: string): string
  /** The token leaves its slot. */
  pull(): void
  putBack(): void
  /** pkcs11-tool on this token, logged in: bytes of its standard output. */
  tool(...args: string[]): Buffer
}

let made: ((label: string) => SoftToken) | undefined

/** A folder for tokens, one for the file, gone after its tests. */
export function softTokens(): (label: string) => SoftToken {
  made ??= makeFolder()
  return made
}

function makeFolder(): (label: string) => SoftToken {
  const root = mkdtempSync(join(tmpdir(), 'countersign-softhsm-'))
  const tokens = join(root, 'tokens')
  mkdirSync(tokens)
  const conf = join(root, 'softhsm2.conf')
  const lines = [
    `directories.tokendir = ${tokens}`,
    'objectstore.backend = file',
    'log.level = ERROR',
  ]
  writeFileSync(conf, `${lines.join('\n')}\n`)
  process.env['SOFTHSM2_CONF'] = conf
  const pinFile = join(root, 'pin')
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  return (label) => {
    const before = new Set(readdirSync(tokens))
    const words = ['--init-token', '--free', '--label', label, '--so-pin', '31415926', '--pin', pin]
    execFileSync('softhsm2-util', words, { stdio: 'ignore' })
    const folder = readdirSync(tokens).find((name) => !before.has(name))
    assert.ok(folder !== undefined)
    const away = join(root, `away-${folder}`)
    return {
      label,
      pinFile,
      folder: join(tokens, folder),
      url: (object, extra = '') =>
        `pkcs11:token=${label}${object === undefined ? '' : `;object=${object}`}${extra}?module-path=${modulePath}&pin-source=file:${pinFile}`,
      pull: () => renameSync(join(tokens, folder), away),
      putBack: () => renameSync(away, join(tokens, folder)),
      tool: (...args) =>
        execFileSync(
          'pkcs11-tool',
          ['--module', modulePath, '--token-label', label, '--login', '--pin', pin, ...args],
          { stdio: ['ignore', 'pipe', 'pipe'] },
        ),
    }
  }
}

/**
 * A pair made outside, put into the token under this label, sensitive: its private half is known.
 * The scalar.
 */
export function putKeyInto(token: SoftToken, label: string): Buffer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const file = join(dirname(token.pinFile), `${label}.der`)
  for (const [type, der, ...flags] of [
    ['privkey', privateKey.export({ type: 'sec1', format: 'der' }), '--sensitive'],
    ['pubkey', publicKey.export({ type: 'spki', format: 'der' })],
  ] as const) {
    writeFileSync(file, der)
    const words = ['--write-object', file, '--type', type, '--label', label, '--id', '0a']
    token.tool(...words, '--usage-sign', ...flags)
  }
  rmSync(file)
  return Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url')
}

type Call = Exclude<keyof Cryptoki, 'path'>

/**
 * The real library with a hand in between: `hook` sees each call before it is made, and may throw
 * in its place.
 */
export function between(hook: (call: Call, args: readonly unknown[]) => void): LoadCryptoki {
  return changing((call, args, real) => {
    hook(call, args)
    return real()
  })
}

/** As `between`, and may answer something else. */
export function changing(
  hook: (call: Call, args: readonly unknown[], real: () => unknown) => unknown,
): LoadCryptoki {
  return async (path) => {
    const real = await loadCryptoki(path)
    return new Proxy(real, {
      get: (_, name) => {
        const member: unknown = Reflect.get(real, name, real)
        if (typeof member !== 'function') return member
        return (...args: unknown[]) =>
          hook(name as Call, args, () => Reflect.apply(member, real, args) as unknown)
      },
    })
  }
}
