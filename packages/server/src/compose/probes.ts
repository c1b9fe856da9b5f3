/**
 * What `doctor` tries out: does the passphrase open the keys, are the CA keys in the token, is a port
 * free?
 */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { isCountersignError } from '@countersign/core/errors'
import { parsePkcs11Url } from '@countersign/element/pkcs11'
import { Vault } from '../authority/vault.ts'
import type { Address, DoorName } from '../config.ts'
import type { CaDocument } from '../control/contract.ts'
import { listen, listenError } from '../listen.ts'
import { type Check, fail, ok } from './check.ts'
import { HouseToken } from './caToken.ts'
import { keysFolder } from './layout.ts'

export async function checkKeys(dir: string, passphrase: string): Promise<Check> {
  await Vault.open({ directory: join(dir, keysFolder), passphrase })
  return ok('keys', 'the passphrase opens them')
}

const tokenCheck = 'CA token'

/**
 * Logs in, which is one try of the PIN: only with a PIN file, and a token that has one try left is
 * not tried.
 */
export async function checkCaToken(
  cas: readonly CaDocument[],
  url: string | null | undefined,
): Promise<readonly Check[]> {
  const inside = cas.filter((ca) => ca.key === 'token')
  if (url === undefined || (url === null && inside.length === 0)) return []
  if (url === null) {
    const remedy = 'Put "caToken" back into config.json: the pkcs11: URL that init was given.'
    return [fail(tokenCheck, 'holds CA keys, and the configuration names none', remedy)]
  }
  if (parsePkcs11Url(url).pinFile === undefined && !process.env['COUNTERSIGN_PIN_FILE']) {
    return [ok(tokenCheck, 'not tried: no file with its PIN is named')]
  }
  const token = new HouseToken(url)
  try {
    for (const ca of inside) {
      const { spki } = await token.signer(ca.keyLabel ?? '')
      if (createHash('sha256').update(spki).digest('hex') === ca.anchor) continue
      const remedy = 'Put the token in that this house was founded on.'
      return [fail(tokenCheck, `holds another key for the CA ${ca.name}`, remedy)]
    }
    return [ok(tokenCheck, `${token.name}: the keys of ${inside.length} CAs are in it`)]
  } catch (error) {
    if (!isCountersignError(error)) throw error
    return [fail(tokenCheck, error.message, error.hint ?? 'Put the token in.')]
  } finally {
    await token.close()
  }
}

export async function checkPort(door: DoorName, address: Address): Promise<Check> {
  const at = `${address.host}:${address.port}`
  try {
    await (door === 'coap' ? tryUdp(door, address) : tryTcp(door, address))
    return ok(`door ${door}`, `${at} is free`)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const hint = isCountersignError(error) ? error.hint : undefined
    return fail(`door ${door}`, `${at}: ${message}`, hint ?? 'Choose another address.')
  }
}

async function tryTcp(door: DoorName, address: Address): Promise<void> {
  const server = createServer()
  try {
    await listen(server, door, address)
  } finally {
    server.close()
  }
}

async function tryUdp(door: DoorName, { host, port }: Address): Promise<void> {
  const { address, family } = await lookup(host)
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => reject(listenError(door, { host, port }, error)))
      socket.bind({ address, port, exclusive: true }, resolve)
    })
  } finally {
    socket.close()
  }
}
