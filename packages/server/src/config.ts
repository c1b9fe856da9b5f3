/**
 * `<dir>/config.json`: what an operator may set. Unknown keys are refused with their path: a
 * misspelt limit must not pass as no limit. Flags of the command win over the file; `doctor` prints
 * the result.
 */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import { parsePkcs11Url } from '@countersign/element/pkcs11'
import { isElementError } from '@countersign/element/ports'
import { z } from 'zod'

export const configFile = 'config.json'

/** The doors that this version opens. */
export type DoorName = 'console' | 'https' | 'mqtts' | 'coap'
export const doorNames: readonly DoorName[] = ['console', 'https', 'mqtts', 'coap']

export interface Address {
  readonly host: string
  readonly port: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface Config {
  /** Names and addresses in the server's certificate. */
  readonly hosts: readonly string[]
  readonly listen: Readonly<Record<DoorName, Address>>
  readonly logLevel: LogLevel
  /**
   * Where stock clients fetch CRLs, `<crlBase>/<ca>.crl`: written into certificates made from then
   * on.
   */
  readonly crlBase: string | null
  /**
   * `pkcs11:` URL of the token that new CA keys are made in; those of the vault serve when absent.
   * It names the file of the PIN, never the PIN.
   */
  readonly caToken: string | null
  readonly webhooks: {
    /** Hosts whose webhooks may be private, link-local or plain http. */
    readonly trustedHosts: readonly string[]
  }
}

/** What the file may say: every key may be absent. */
export type ConfigFile = z.infer<typeof fileSchema>

/** RFC 1123 §2.1 host names and IP addresses. */
const hostNameLengthMax = 253
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

export function isHostName(host: string): boolean {
  if (isIP(host) !== 0) return true
  return host.length <= hostNameLengthMax && host.split('.').every((part) => label.test(part))
}

const hostSchema: z.ZodType<string> = z
  .string()
  .refine(isHostName, 'is neither a host name nor an IP address')

const addressSchema: z.ZodType<string> = z.string().superRefine((text, context) => {
  const fault = addressFault(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
})

const caTokenSchema: z.ZodType<string> = z.string().superRefine((text, context) => {
  const fault = caTokenFault(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault.message })
})

interface FileShape {
  hosts?: string[] | undefined
  listen?: Partial<Record<DoorName, string | undefined>> | undefined
  logLevel?: LogLevel | undefined
  crlBase?: string | undefined
  caToken?: string | undefined
  webhooks?: { trustedHosts?: string[] | undefined } | undefined
}

const fileSchema: z.ZodType<FileShape> = z.strictObject({
  hosts: z.array(hostSchema).min(1).max(64).optional(),
  listen: z
    .strictObject({
      console: addressSchema.optional(),
      https: addressSchema.optional(),
      mqtts: addressSchema.optional(),
      coap: addressSchema.optional(),
    })
    .optional(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
  crlBase: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .optional(),
  caToken: caTokenSchema.optional(),
  webhooks: z.strictObject({ trustedHosts: z.array(hostSchema).max(64).optional() }).optional(),
})

const defaults: Config = {
  hosts: ['localhost', '127.0.0.1', '::1'],
  listen: {
    console: { host: '127.0.0.1', port: 8443 },
    https: { host: '127.0.0.1', port: 8444 },
    mqtts: { host: '127.0.0.1', port: 8883 },
    coap: { host: '127.0.0.1', port: 5683 },
  },
  logLevel: 'info',
  crlBase: null,
  caToken: null,
  webhooks: { trustedHosts: [] },
}

/** What flags may say. */
export interface ConfigFlags {
  /** `<door>=<host:port>` as written. */
  readonly listen?: readonly string[]
  readonly logLevel?: LogLevel
}

export async function readConfig(dir: string, flags: ConfigFlags = {}): Promise<Config> {
  return mergeConfig(await readConfigFile(dir), flags)
}

export async function readConfigFile(dir: string): Promise<ConfigFile> {
  const path = join(dir, configFile)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw error
  }
  return parseConfigFile(text, path)
}

export function parseConfigFile(text: string, path: string): ConfigFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CallerError(
      'ERR_CONFIG',
      'the configuration is not JSON',
      {},
      {
        where: path,
        hint: `${cause instanceof Error ? cause.message : String(cause)}. Correct the file.`,
        cause,
      },
    )
  }
  const parsed = fileSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw schemaFault(parsed.error, path)
}

/** The first fault, with the path of the key and what would be right. */
function schemaFault(error: z.ZodError, path: string): CallerError {
  const issue = error.issues[0]
  const at = issue?.path.join('.') ?? ''
  if (issue?.code === 'unrecognized_keys') {
    const key = [...issue.path, issue.keys[0]].join('.')
    return new CallerError(
      'ERR_CONFIG',
      `unknown key "${key}"`,
      {},
      { where: path, hint: nestedHint(issue.keys[0]) ?? `Known keys: ${knownKeys.join(', ')}.` },
    )
  }
  return new CallerError(
    'ERR_CONFIG',
    `${at === '' ? 'the document' : `"${at}"`}: ${issue?.message ?? 'is not what was expected'}`,
    {},
    {
      where: path,
      hint: 'See docs/operator/README.md for every key, or remove it to take the default.',
    },
  )
}

/** For a key that was written as its path is told. */
function nestedHint(key: string | undefined): string | undefined {
  const [outer, inner] = key?.split('.') ?? []
  if (key === undefined || inner === undefined || !knownKeys.includes(key)) return undefined
  return `"${outer}" is an object of its own: "${outer}": {"${inner}": …}.`
}

const knownKeys: readonly string[] = [
  'hosts',
  'listen.console',
  'listen.https',
  'listen.mqtts',
  'listen.coap',
  'logLevel',
  'crlBase',
  'caToken',
  'webhooks.trustedHosts',
]

export function mergeConfig(file: ConfigFile, flags: ConfigFlags): Config {
  const listen = { ...defaults.listen }
  for (const door of doorNames) {
    const text = file.listen?.[door]
    if (text !== undefined) listen[door] = parseAddress(text, `listen.${door}`)
  }
  for (const text of flags.listen ?? []) {
    const [door, address] = parseListen(text)
    listen[door] = address
  }
  return {
    hosts: file.hosts ?? defaults.hosts,
    listen,
    logLevel: flags.logLevel ?? file.logLevel ?? defaults.logLevel,
    crlBase: file.crlBase ?? null,
    caToken: file.caToken ?? null,
    webhooks: { trustedHosts: file.webhooks?.trustedHosts ?? [] },
  }
}

/** A token for CA keys is named without a key: each CA's has a label of its own. */
function caTokenFault(
  url: string,
): { readonly message: string; readonly hint?: string } | undefined {
  try {
    if (parsePkcs11Url(url).object === undefined) return undefined
    return { message: 'the URL names a key', hint: 'Leave object=… out.' }
  } catch (error) {
    if (!isElementError(error)) throw error
    const { message, hint } = error
    return { message, ...(hint === undefined ? {} : { hint }) }
  }
}

export function requireCaToken(url: string, where: string): void {
  const fault = caTokenFault(url)
  if (fault === undefined) return
  const options = fault.hint === undefined ? { where } : { where, hint: fault.hint }
  throw new CallerError('ERR_USAGE', fault.message, {}, options)
}

/** `<door>=<host:port>`, also `<door>=<port>` for loopback. */
function parseListen(text: string): readonly [DoorName, Address] {
  const at = text.indexOf('=')
  const name = at < 0 ? text : text.slice(0, at)
  const door = doorNames.find((known) => known === name)
  if (door === undefined || at < 0) {
    throw new CallerError(
      'ERR_USAGE',
      door === undefined ? `there is no door "${name}"` : `"${text}" names no address`,
      {},
      {
        where: '--listen',
        hint: `Doors: ${doorNames.join(', ')}. Example: --listen https=0.0.0.0:8444`,
      },
    )
  }
  return [door, parseAddress(text.slice(at + 1), `--listen ${door}`)]
}

export function parseAddress(text: string, where: string): Address {
  const fault = addressFault(text)
  if (fault !== undefined) {
    throw new CallerError(
      'ERR_USAGE',
      `"${text}" ${fault}`,
      {},
      {
        where,
        hint: 'Write host:port, for example 127.0.0.1:8444 or [::1]:8444; port 0 picks a free one.',
      },
    )
  }
  const [host, port] = splitAddress(text)
  return { host, port: Number(port) }
}

function addressFault(text: string): string | undefined {
  const [host, port] = splitAddress(text)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return 'has no port from 0 to 65535'
  return isHostName(host) ? undefined : 'names neither a host nor an IP address'
}

function splitAddress(text: string): readonly [host: string, port: string] {
  if (/^\d+$/.test(text)) return ['127.0.0.1', text]
  const at = text.lastIndexOf(':')
  return [text.slice(0, at < 0 ? 0 : at).replace(/^\[(.*)\]$/, '$1'), text.slice(at + 1)]
}
