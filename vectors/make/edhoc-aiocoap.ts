/**
 * Writes vectors/edhoc-aiocoap.json: EDHOC over CoAP and OSCORE between aiocoap and our ends, whose
 * keys are fixed. What aiocoap and lakers drew is their own, so each run writes another file.
 *
 *   npm run peers && node vectors/make/edhoc-aiocoap.ts > vectors/edhoc-aiocoap.json
 */
import {
  aiocoapVersion,
  type Recorded,
  withClient,
  withServer,
} from '../../packages/core/test/channel/peers/aiocoapProcess.ts'
import {
  clientScenes,
  knownTo,
  serverScenes,
} from '../../packages/core/test/channel/peers/aiocoapScenes.ts'
import { fixedKeys } from '../../packages/core/test/edhoc/peers/claims.ts'

const conversations: Recorded[] = []
for (const { name, run } of serverScenes) {
  const datagrams: Recorded['datagrams'][number][] = []
  const known = knownTo(fixedKeys(name))
  await withServer(known, datagrams, (wire) => run(wire, known))
  conversations.push({ name, datagrams })
}
for (const { name, combined } of clientScenes) {
  const datagrams: Recorded['datagrams'][number][] = []
  await withClient(knownTo(fixedKeys(name)), datagrams, combined)
  conversations.push({ name, datagrams })
}
const source = `aiocoap ${aiocoapVersion}`
process.stdout.write(`${JSON.stringify({ source, conversations }, null, 1)}\n`)
