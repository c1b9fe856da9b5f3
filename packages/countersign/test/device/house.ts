/**
 * A whole house in this process, doors open on free ports, for devices to meet: nothing in it is a
 * stand-in.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import {
  createFolder,
  openHouse,
  readConfig,
  runOperation,
  type Services,
  serve,
  silentLog,
} from '@countersign/server'
import type { Log } from '@countersign/server/ports'
import type { InviteDocument, OperationName, ParamsOf, ResultOf } from '@countersign/server/control'

/** What a device takes of an invitation. */
type Invited = Pick<InviteDocument, 'server' | 'mqtts' | 'coap' | 'token' | 'anchor'>

export interface TestHouse {
  readonly root: string
  readonly services: Services
  /** `https://localhost:…`. */
  readonly https: string
  call<N extends OperationName>(operation: N, params: ParamsOf<N>): Promise<ResultOf<N>>
  invite(count?: number): Promise<Invited>
  /** Data of every stored message, by its CloudEvents id. */
  messages(): Promise<ReadonlyMap<string, unknown>>
  /** As when `serve` ends, `meanwhile` happens, and it is started again with the same doors. */
  restart(meanwhile: () => Promise<void>): Promise<void>
  /** The CloudEvents of this device's messages, in the order in which they were stored. */
  events(id: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  close(): Promise<void>
}

/** In one that `demo` made, emulators play chips. */
export async function openTestHouse({
  demo = false,
  log = silentLog,
}: {
  readonly demo?: boolean
  readonly log?: Log
} = {}): Promise<TestHouse> {
  const root = await mkdtemp(join(tmpdir(), 'countersign-house-'))
  const dir = join(root, 'data')
  const passphrase = 'a passphrase of this test only'
  await createFolder(dir, { hosts: [], demo, passphrase, cost: { log2N: 10, r: 8, p: 1 } })
  const config = await readConfig(dir, {
    listen: ['https=127.0.0.1:0', 'mqtts=127.0.0.1:0', 'coap=127.0.0.1:0', 'console=127.0.0.1:0'],
  })
  let services = await openHouse(dir, { passphrase, config, log })
  let served = await serve(services)
  let open = true
  const house: TestHouse = {
    root,
    get services() {
      return services
    },
    https: served.listeners['https'] ?? '',
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the operation of this name ran: its result has the type of the contract
    call: async (operation, params) => (await runOperation(services, operation, params)) as never,
    invite: (count = 1) =>
      house.call('identity.invite', { product: 'default', count, expiresAt: Date.now() + 600_000 }),
    messages: () => messagesOf(services),
    restart: async (meanwhile) => {
      const listen = Object.entries(served.listeners).map(([door, url]) => {
        return `${door}=127.0.0.1:${new URL(url).port}`
      })
      await served.close()
      await services.close()
      await meanwhile()
      services = await openHouse(dir, {
        passphrase,
        config: await readConfig(dir, { listen }),
        log,
      })
      served = await serve(services)
    },
    events: (id) => eventsOf(services, id),
    close: async () => {
      if (!open) return
      open = false
      await served.close()
      await services.close()
      await rm(root, { recursive: true, force: true })
    },
  }
  after(() => house.close())
  return house
}

async function messagesOf(services: Services): Promise<ReadonlyMap<string, unknown>> {
  const found = new Map<string, unknown>()
  const rows = await services.store.scan('message', { limit: 100_000 })
  for (const { type, id, body } of rows) {
    if (type === 'countersign.message') found.set(id, JSON.parse(body).data)
  }
  return found
}

async function eventsOf(
  services: Services,
  device: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const rows = await services.store.scan('message', { limit: 100_000 })
  return rows
    .filter(({ type, source }) => type === 'countersign.message' && source === device)
    .map(({ body }) => JSON.parse(body))
}
