/**
 * What a caller of an element can reach: its members and those of its prototypes, what calls of them
 * answer and throw, and what is in that. Private names (#) are out of reach for callers.
 */
import { KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { holds, says } from './privateScalar.ts'

/** Names of an object and of its prototypes, without those that every object has. */
export function memberNames(object: object): readonly string[] {
  const names = holdersOf(object).flatMap((holder) => Reflect.ownKeys(holder).map(String))
  return [...new Set(names)].filter((name) => name !== 'constructor').toSorted()
}

export interface Search {
  readonly scalar: Uint8Array
  /** Each function is called with each of them. */
  readonly calls: readonly (readonly unknown[])[]
  /** These members are not called. */
  readonly uncalled: readonly string[]
}

/** Arguments of the port, of Node's exports of keys, and those that somebody might make up. */
export function plausibleCalls(slot: number, point: Uint8Array): readonly (readonly unknown[])[] {
  const bytes = new Uint8Array(32).fill(0x5a)
  const target = { kind: 'slot', slot }
  return [
    [],
    [slot],
    [`${slot}`],
    [{ slot }],
    [target],
    [target, { confirm: 'no', expected: bytes }],
    [point],
    [bytes],
    [slot, bytes],
    [slot, point],
    [slot, ''],
    [slot, 0, 4],
    [slot, 0, bytes],
    [slot, 'pkcs8', 'der'],
    [slot, { type: 'pkcs8', format: 'der' }],
    [slot, { format: 'jwk' }],
  ]
}

/** Paths by which the scalar can be had. */
export async function waysToScalar(from: object, search: Search): Promise<readonly string[]> {
  const found: string[] = []
  await visit(from, '', { ...search, found, seen: new Set() }, callDepth)
  return found
}

/** Members of the element, of what is in them, of what they answer. */
const callDepth = 3

interface Walk extends Search {
  readonly found: string[]
  readonly seen: Set<unknown>
}

async function visit(value: unknown, path: string, walk: Walk, calls: number): Promise<void> {
  const { scalar, found, seen } = walk
  if (typeof value === 'object' || typeof value === 'function') {
    if (value === null || seen.has(value)) return
    seen.add(value)
  }
  if (shows(value, scalar)) found.push(path)
  if (value instanceof Promise) return await settle(() => value, path, walk, calls)
  if (!isWalked(value)) return
  if (value instanceof Map || value instanceof Set) {
    for (const [key, item] of value.entries()) await visit([key, item], `${path}{}`, walk, calls)
  }
  for (const holder of holdersOf(value)) {
    for (const name of Reflect.ownKeys(holder)) {
      if (name === 'constructor') continue
      const at = `${path}.${String(name)}`
      await settle(() => member(value, name), at, walk, calls)
    }
  }

  async function member(of: object, name: string | symbol): Promise<unknown> {
    const held: unknown = Reflect.get(of, name)
    if (calls === 0 || !isOurFunction(held) || walk.uncalled.includes(String(name))) return held
    for (const args of walk.calls) {
      const at = `${path}.${String(name)}(${args.map((arg) => inspect(arg, short)).join(', ')})`
      await settle(() => Reflect.apply(held, of, args), at, walk, calls - 1)
    }
    return held
  }
}

const short = { breakLength: Infinity, compact: true, maxArrayLength: 0 } as const

/** What it answers, or what it throws: an error is looked through as well. */
async function settle(act: () => unknown, path: string, walk: Walk, calls: number): Promise<void> {
  let answer: unknown
  try {
    answer = await act()
  } catch (error) {
    return await visit(error, `${path}!`, walk, 0)
  }
  await visit(answer, path, walk, calls)
}

/** In itself; members come on their own. */
function shows(value: unknown, scalar: Uint8Array): boolean {
  if (typeof value === 'string') return says(value, scalar)
  if (typeof value === 'bigint') return says(value.toString(), scalar)
  // All of the memory behind a view is its holder's.
  if (ArrayBuffer.isView(value)) return holds(new Uint8Array(value.buffer), scalar)
  if (value instanceof ArrayBuffer) return holds(new Uint8Array(value), scalar)
  if (value instanceof CryptoKey) return value.extractable && shows(KeyObject.from(value), scalar)
  if (value instanceof KeyObject) return exports(value, scalar)
  return isNumbers(value) && says(value.join(), scalar)
}

function exports(key: KeyObject, scalar: Uint8Array): boolean {
  if (key.type === 'public') return false
  const bytes = key.type === 'secret' ? key.export() : key.export({ type: 'pkcs8', format: 'der' })
  return holds(bytes, scalar)
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number')
}

/** Bytes and keys were looked at whole. */
function isWalked(value: unknown): value is object {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  return (
    !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer) && !(value instanceof KeyObject)
  )
}

/** Node's own do not take any arguments that come along. */
function isOurFunction(value: unknown): value is (...args: readonly unknown[]) => unknown {
  return (
    typeof value === 'function' && !/\[native code\]/.test(Function.prototype.toString.call(value))
  )
}

/** Itself and its prototypes up to those of the language. */
function holdersOf(object: object): readonly object[] {
  const holders: object[] = []
  for (let at: object | null = object; at !== null && !builtIn.has(at); ) {
    holders.push(at)
    at = Reflect.getPrototypeOf(at)
  }
  return holders
}

const builtIn: ReadonlySet<object> = new Set([
  Object.prototype,
  Function.prototype,
  Array.prototype,
  Map.prototype,
  Set.prototype,
  Promise.prototype,
])
