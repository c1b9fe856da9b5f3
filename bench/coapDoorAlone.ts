/**
 * The coap door of a house on a UDP socket, its contexts and messages on disk or in memory. Arguments:
 * the data folder, `disk` or `memory`. Prints its port and the leaf that it shows, in hex.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hex } from '@countersign/core/codec'
import { openHouse } from '@countersign/server'
import { UdpSocket } from '../packages/server/src/frontend/coap/udpSocket.ts'
import { memoryStore, openNarrowDoor, unpaced } from './narrowDoor.ts'

const [dir = '', where = 'disk'] = process.argv.slice(2)
const passphrase = (await readFile(join(dir, 'dev-passphrase'), 'utf8')).trimEnd()
const house = await openHouse(dir, { passphrase })
const { port, serverLeaf } = await openNarrowDoor(house, {
  openLink: (...asked) => UdpSocket.open(...asked),
  limits: unpaced,
  store: where === 'memory' ? memoryStore(house.store) : house.store,
})
process.stdout.write(`${JSON.stringify({ port, serverLeaf: hex(serverLeaf) })}\n`)
