/**
 * Commands for applications, below `/api/v1/devices/<id>/commands`: queue one, list them, look at
 * one. The id of a device is its URN or its EUI-64. An application may command every device of the
 * house, as it hears every device of the house; the audit log says who did.
 *
 * The body is read as text, so that the device gets the data as the application wrote it.
 */
import { isUtf8 } from 'node:buffer'
import { jsonMembers, parseDurationText, parseRfc3339 } from '@countersign/core/codec'
import { AdapterError, CallerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { commandDataBytesMax, commandDocument, commandId } from '../commandDocument.ts'
import type { ApplicationRow, CommandRow } from '../ports.ts'
import { type ApplicationDoor, answer, applicationOf, tokenRequired } from './answers.ts'
import { deviceIdOf } from './eventsQuery.ts'

/** The commands' room, as this door sees it. */
export interface CommandsDoor {
  /** Throws CallerError for what cannot be queued. */
  queue(wish: {
    readonly device: string
    readonly name: string
    readonly data: string
    readonly expiresAt: Milliseconds
    readonly actor: string
  }): Promise<CommandRow>
  list(
    device: string,
    page: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<readonly CommandRow[]>
  show(device: string, id: string): Promise<CommandRow | undefined>
}

export interface CommandsApiParts {
  readonly applications: ApplicationDoor
  readonly commands: CommandsDoor
  readonly clock: Clock
}

/** Data at its bound, spread over lines, and what stands around it. */
const bodyBytesMax = 2 * commandDataBytesMax
/** Of one answer: each may carry its data and a result of 64 KiB. */
const listMax = 50
const listDefault = 20
const expiresInMs: Milliseconds = 3_600_000

type Env = { Bindings: HttpBindings }
type Handler = (context: Context<Env>, device: string, who: ApplicationRow) => Promise<Response>

export function addCommandsApi(app: Hono<Env>, parts: CommandsApiParts): void {
  const path = '/api/v1/devices/:device/commands'
  const detail = `a body has at most ${bodyBytesMax} bytes`
  const tooLong = (): Response => answer({ status: 413, detail })
  const asked = (handle: Handler) => (context: Context<Env>) => ask(context, parts, handle)
  app.post(
    path,
    bodyLimit({ maxSize: bodyBytesMax, onError: tooLong }),
    asked((context, device, who) => queue(context, parts, device, who)),
  )
  app.get(
    path,
    asked((context, device) => list(context, parts, device)),
  )
  app.get(
    `${path}/:command`,
    asked((context, device) => show(context, parts, device)),
  )
}

/** Who asks, of which device; and what goes wrong, as a problem. */
async function ask(
  context: Context<Env>,
  { applications }: CommandsApiParts,
  handle: Handler,
): Promise<Response> {
  const who = await applicationOf(context.req.header('authorization'), applications)
  if (who === undefined) return answer(tokenRequired)
  const device = deviceIdOf(context.req.param('device') ?? '')
  if (device === undefined)
    return bad('the device is an EUI-64 of 16 lower-case hex digits, or urn:dev:mac: and that')
  try {
    return await handle(context, device, who)
  } catch (error) {
    if (error instanceof CallerError) return refusal(error)
    if (!(error instanceof AdapterError)) throw error
    const full = error.code === 'ERR_STORE_FULL'
    return answer({ status: full ? 507 : 503, headers: { 'Retry-After': full ? '60' : '5' } })
  }
}

async function queue(
  context: Context<Env>,
  { commands, clock }: CommandsApiParts,
  device: string,
  { id }: ApplicationRow,
): Promise<Response> {
  if (!/^application\/json[ \t]*(?:;|$)/i.test(context.req.header('content-type') ?? ''))
    return answer({ status: 415, detail: 'the body is application/json' })
  const bytes = Buffer.from(await context.req.arrayBuffer())
  const wish = parseWish(bytes, clock.now())
  if ('fault' in wish) return bad(wish.fault)
  const row = await commands.queue({ ...wish, device, actor: `application:${id}` })
  const Location = `/api/v1/devices/${device}/commands/${row.id}`
  return sent(202, commandDocument(row), { Location })
}

async function list(
  context: Context<Env>,
  { commands }: CommandsApiParts,
  device: string,
): Promise<Response> {
  const { limit = String(listDefault), before, ...strange } = context.req.query()
  if (Object.keys(strange).length > 0) return bad('the parameters are limit and before')
  if (!/^[1-9][0-9]?$/.test(limit) || Number(limit) > listMax)
    return bad(`limit is a number from 1 to ${listMax}`)
  if (before !== undefined && !commandId.test(before)) return bad('before is the id of a command')
  const rows = await commands.list(device, { limit: Number(limit), before })
  return sent(200, `[${rows.map(commandDocument).join(',')}]`)
}

async function show(
  context: Context<Env>,
  { commands }: CommandsApiParts,
  device: string,
): Promise<Response> {
  const row = await commands.show(device, context.req.param('command') ?? '')
  return row === undefined ? answer({ status: 404 }) : sent(200, commandDocument(row))
}

interface Wish {
  readonly name: string
  readonly data: string
  readonly expiresAt: Milliseconds
}

const members: ReadonlySet<string> = new Set(['name', 'data', 'expires'])

function parseWish(body: Buffer, now: Milliseconds): Wish | { readonly fault: string } {
  const given = isUtf8(body) ? jsonMembers(body.toString('utf8')) : undefined
  if (given === undefined) return { fault: 'the body is one JSON object' }
  if ([...given.keys()].some((name) => !members.has(name)))
    return { fault: 'the members are name, data and expires' }
  const name = textOf(given.get('name'))
  if (name === undefined) return { fault: 'name is a string' }
  const expires = given.has('expires') ? textOf(given.get('expires')) : undefined
  const expiresAt = given.has('expires') ? timeOf(expires ?? '', now) : now + expiresInMs
  if (expiresAt === undefined)
    return { fault: 'expires is RFC 3339 (2027-01-31T12:00:00Z) or a duration such as "15m"' }
  return { name, data: given.get('data') ?? 'null', expiresAt }
}

function textOf(json: string | undefined): string | undefined {
  const value: unknown = json === undefined ? undefined : JSON.parse(json)
  return typeof value === 'string' ? value : undefined
}

function timeOf(text: string, now: Milliseconds): Milliseconds | undefined {
  const length = parseDurationText(text)
  return length === undefined ? parseRfc3339(text) : now + length
}

const statuses: Readonly<Record<string, number>> = {
  ERR_DEVICE_UNKNOWN: 404,
  ERR_DEVICE_REVOKED: 409,
  ERR_DEVICE_RETIRED: 409,
  ERR_COMMAND_LIMIT: 409,
  ERR_COMMAND_NAME: 400,
  ERR_COMMAND_DATA: 400,
  ERR_COMMAND_EXPIRY: 400,
}

/** Hints of the registry speak to operators; what is wrong is enough here. */
function refusal(error: CallerError): Response {
  const status = statuses[error.code]
  if (status === undefined) throw error
  return answer({ status, code: error.code, detail: error.message })
}

function bad(detail: string): Response {
  return answer({ status: 400, detail })
}

function sent(status: number, body: string, more: Readonly<Record<string, string>> = {}): Response {
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...more }
  return new Response(body, { status, headers })
}
