/**
 * The floors of the house, checked: imports go down only, packages meet at their exports, the
 * server's rooms meet at its ports, and concrete adapters are named where a program is composed.
 * See ARCHITECTURE.md for the picture.
 *
 * It reads import statements as text: the formatter keeps them in one shape, and a specifier that
 * is not a literal is itself a violation.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** Path from the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Manifest {
  readonly name: string
  readonly exports?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Violation {
  readonly file: string
  readonly rule: string
  readonly message: string
}

interface Import {
  readonly specifier: string
  readonly literal: boolean
}

interface Context {
  readonly file: SourceFile
  readonly pkg: string
  /** Path below the package's `src`, or undefined for a file outside it. */
  readonly inSrc: string | undefined
  readonly manifests: ReadonlyMap<string, Manifest>
}

/**
 * Which packages each package may import, by folder name. A package missing here is a violation by
 * itself.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  element: ['core'],
  device: ['core', 'element'],
  gateway: ['core'],
  server: ['core', 'element'],
  testbed: ['core', 'element', 'device', 'gateway', 'server'],
  countersign: ['core', 'element', 'device', 'gateway', 'server', 'testbed'],
}

/** Inside core: which rooms a room may import. `ports.ts` and `errors.ts` belong to everyone. */
const coreRooms: Readonly<Record<string, readonly string[]>> = {
  codec: [],
  cose: ['codec'],
  credential: ['cose', 'codec'],
  attestation: ['credential', 'codec'],
  crypto: [],
  edhoc: ['credential', 'cose', 'codec'],
  tls: ['credential', 'cose', 'codec'],
  coap: ['codec'],
  oscore: ['cose', 'coap', 'codec'],
  channel: ['edhoc', 'oscore', 'credential', 'cose', 'coap', 'codec'],
  schc: ['codec'],
  link: ['codec'],
}

/** What a gateway may see of core: frames, never keys. */
const gatewayCoreRooms: ReadonlySet<string> = new Set(['codec', 'link'])

/** Server files that are no room: where rooms meet, and where they are put together. */
const serverCommons: ReadonlySet<string> = new Set([
  'ports.ts',
  'records.ts',
  'recordValues.ts',
  'address.ts',
  'cloudEvent.ts',
  'commandDocument.ts',
  'listen.ts',
  'payload.ts',
  'problem.ts',
  'rates.ts',
  'recent.ts',
])
/**
 * They name every room: the composition, what the package exports, and the table of operations over
 * the whole.
 */
const serverComposer = /^(compose\.ts|index\.ts|compose\/|control\/operations(\.ts|\/))/

/** Concrete adapters, and the only files that may name them. */
const adapters: readonly { readonly path: RegExp; readonly only: RegExp }[] = [
  {
    path: /^packages\/server\/src\/store\/sqlite/,
    only: /^packages\/server\/src\/(compose\.ts|compose\/|store\/)/,
  },
  // A driver and its emulator share nothing: they would agree by construction.
  {
    path: /^packages\/element\/src\/emulators\//,
    only: /^packages\/element\/src\/(compose|emulatedChip|serveEmulator)\.ts|^packages\/element\/src\/emulators\//,
  },
  {
    path: /^packages\/element\/src\/(drivers|bus)\/(?!ports\.ts|time\.ts)/,
    only: /^packages\/element\/src\/(compose|emulatedChip|serveEmulator)\.ts|^packages\/element\/src\/(drivers|bus)\//,
  },
]

export const linesMax = 600
const tableFile = /(^|\/)(vectors|generated)\//

export function checkFloors(
  files: readonly SourceFile[],
  manifests: ReadonlyMap<string, Manifest>,
): Violation[] {
  const violations: Violation[] = []
  for (const file of files) {
    violations.push(...checkSize(file))
    const [top, pkg, ...rest] = file.path.split('/')
    if (top !== 'packages' || pkg === undefined) continue
    if (mayImport[pkg] === undefined) {
      violations.push({
        file: file.path,
        rule: 'package',
        message: `package ${pkg} has no floor; name one here and say who installs it alone`,
      })
      continue
    }
    const inSrc = rest[0] === 'src' ? rest.slice(1).join('/') : undefined
    if (inSrc === undefined) continue // tests may look anywhere
    const context: Context = { file, pkg, inSrc, manifests }
    for (const found of importsOf(file.text)) violations.push(...checkImport(context, found))
  }
  return violations
}

function checkSize(file: SourceFile): Violation[] {
  const lines = file.text.split('\n').length
  if (lines <= linesMax || tableFile.test(file.path)) return []
  return [{ file: file.path, rule: 'size', message: `${lines} lines; the limit is ${linesMax}` }]
}

function checkImport(context: Context, found: Import): Violation[] {
  const say = (rule: string, message: string): Violation[] => [
    { file: context.file.path, rule, message },
  ]
  const { specifier } = found
  if (!found.literal) return say('literal', 'an import must name its module literally')
  if (specifier.startsWith('.')) return checkRelative(context, specifier, say)
  if (specifier.startsWith('node:')) {
    if (context.pkg === 'core') return say('portable', `core imports ${specifier}`)
    if (context.pkg === 'device' && context.inSrc?.startsWith('portable/'))
      return say('portable', `device/portable imports ${specifier}`)
    return []
  }
  const workspace = workspaceOf(context.manifests, specifier)
  if (workspace !== undefined) return checkWorkspace(context, specifier, workspace, say)
  return checkLibrary(context, specifier, say)
}

type Say = (rule: string, message: string) => Violation[]

function checkRelative(context: Context, specifier: string, say: Say): Violation[] {
  const target = posix.normalize(posix.join(posix.dirname(context.file.path), specifier))
  const source = `packages/${context.pkg}/src/`
  if (!target.startsWith(source))
    return say('exports', `${specifier} leaves the package's src; packages meet at their exports`)
  for (const adapter of adapters) {
    if (adapter.path.test(target) && !adapter.only.test(context.file.path))
      return say('adapter', `${specifier} is a concrete adapter: only compose.ts names it`)
  }
  const from = roomOf(context.inSrc ?? '')
  const to = roomOf(target.slice(source.length))
  if (to === from || to === undefined) return checkCommon(context, target.slice(source.length), say)
  if (context.pkg === 'core') {
    if (from === undefined || !coreRooms[from]?.includes(to))
      return say('room', `core/${from ?? ''} may not import core/${to}`)
  }
  if (context.pkg === 'server' && !serverComposer.test(context.inSrc ?? ''))
    return say(
      'room',
      `server/${from ?? context.inSrc} may not import server/${to}; meet at ports.ts`,
    )
  if (context.pkg === 'device' && from === 'portable')
    return say('room', `device/portable imports core only, not ${to}`)
  return []
}

/** A file at the top of src: shared ports are everyone's, composers are nobody's. */
function checkCommon(context: Context, inSrc: string, say: Say): Violation[] {
  if (context.pkg !== 'server' || roomOf(inSrc) !== undefined) return []
  const composer = serverComposer.test(context.inSrc ?? '')
  if (serverCommons.has(inSrc) || composer || roomOf(context.inSrc ?? '') === undefined) return []
  return say('room', `a room imports ports.ts of the server's top level, not ${inSrc}`)
}

function checkWorkspace(
  context: Context,
  specifier: string,
  target: string,
  say: Say,
): Violation[] {
  if (target === context.pkg) return say('exports', `${specifier} is this package itself`)
  if (!mayImport[context.pkg]?.includes(target))
    return say('floor', `${context.pkg} may not import ${target}: imports go down only`)
  const manifest = context.manifests.get(target)
  const name = manifest?.name ?? ''
  const path = specifier === name ? '.' : `.${specifier.slice(name.length)}`
  if (manifest?.exports?.[path] === undefined)
    return say('exports', `${specifier} is not an export of ${name}`)
  const room = path.slice(2)
  if (context.pkg === 'gateway' && !gatewayCoreRooms.has(room))
    return say('gateway', `the gateway cannot read: it may not import core/${room}`)
  if (context.pkg === 'device' && context.inSrc?.startsWith('portable/') && target !== 'core')
    return say('portable', `device/portable imports core only, not ${target}`)
  return checkDeclared(context, name, say)
}

function checkLibrary(context: Context, specifier: string, say: Say): Violation[] {
  const parts = specifier.split('/')
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '')
  if (context.pkg === 'core') {
    const inNoble =
      context.inSrc === 'crypto/noble.ts' || context.inSrc?.startsWith('crypto/noble/')
    if (!(inNoble && name.startsWith('@noble/')))
      return say('dependencies', `core has no dependencies; ${name} is one`)
  }
  return checkDeclared(context, name, say)
}

function checkDeclared(context: Context, name: string, say: Say): Violation[] {
  const manifest = context.manifests.get(context.pkg)
  const declared =
    manifest?.dependencies?.[name] ??
    manifest?.peerDependencies?.[name] ??
    manifest?.optionalDependencies?.[name]
  return declared === undefined
    ? say('manifest', `${name} is not in the manifest of ${context.pkg}`)
    : []
}

/** The folder directly below src, or undefined for a file at its top. */
function roomOf(inSrc: string): string | undefined {
  const slash = inSrc.indexOf('/')
  return slash < 0 ? undefined : inSrc.slice(0, slash)
}

function workspaceOf(
  manifests: ReadonlyMap<string, Manifest>,
  specifier: string,
): string | undefined {
  for (const [folder, manifest] of manifests) {
    if (specifier === manifest.name || specifier.startsWith(`${manifest.name}/`)) return folder
  }
  return undefined
}

const fromClause = /^(?:import|export)\b[^'";]*?\bfrom\s*(['"])([^'"]+)\1/gm
const bareImport = /^import\s*(['"])([^'"]+)\1/gm
const dynamicImport = /\bimport\(\s*(?:(['"])([^'"]+)\1\s*\)|([^'"\s)]))/g
const typeImport = /\bimport\(\s*(['"])([^'"]+)\1\s*\)/g

export function importsOf(text: string): Import[] {
  const code = withoutComments(text)
  const found: Import[] = []
  for (const pattern of [fromClause, bareImport, typeImport]) {
    for (const match of code.matchAll(pattern))
      found.push({ specifier: match[2] ?? '', literal: true })
  }
  for (const match of code.matchAll(dynamicImport)) {
    if (match[3] !== undefined) found.push({ specifier: '', literal: false })
  }
  return found
}

/** Block comments and whole-line comments only: a `//` inside a string must survive. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
}

function readTree(root: string, folder: string): SourceFile[] {
  const files: SourceFile[] = []
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (['node_modules', 'dist', '.git'].includes(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) files.push(...readTree(root, path))
    else if (/\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
      files.push({ path: path.split(sep).join('/'), text: readFileSync(join(root, path), 'utf8') })
  }
  return files
}

export function readManifests(root: string): Map<string, Manifest> {
  const manifests = new Map<string, Manifest>()
  for (const folder of readdirSync(join(root, 'packages'))) {
    const file = join(root, 'packages', folder, 'package.json')
    if (statSync(file, { throwIfNoEntry: false })?.isFile())
      manifests.set(folder, JSON.parse(readFileSync(file, 'utf8')) as Manifest)
  }
  return manifests
}

function main(): void {
  const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '..'))
  const folders = ['packages', 'scripts', 'bench', 'fuzz'].filter((folder) =>
    statSync(join(root, folder), { throwIfNoEntry: false })?.isDirectory(),
  )
  const files = folders.flatMap((folder) => readTree(root, folder))
  const violations = checkFloors(files, readManifests(root))
  for (const violation of violations)
    process.stderr.write(
      `${relative('', violation.file)}: ${violation.rule}: ${violation.message}\n`,
    )
  if (violations.length > 0) process.exitCode = 1
  else process.stdout.write(`floors: ${files.length} files keep to their floors\n`)
}

if (import.meta.main) main()
