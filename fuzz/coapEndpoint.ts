/**
 * Fuzzes endpoints of CoAP: rows of datagrams of three peers, some of them answers to what the
 * endpoint asks (see coapHouse.ts for what must hold). `node fuzz/coapEndpoint.ts --seconds N
 * --seed S`
 */
import { coapCode, encodeMessage, parseMessage } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { House } from './coapHouse.ts'
import { blocks, figures, inRow, messagesOf, others } from './coapMessages.ts'
import { fuzzAsync } from './fuzz.ts'

/** To the first request of each house, which are the same: with the acknowledgement, later, wrong. */
const answers = new House().firstRequests.flatMap((datagram) => {
  const { messageId, token } = parseMessage(datagram)
  const content = { code: coapCode.content, token, options: [], payload: utf8('an answer') }
  const empty = { code: coapCode.empty, token: utf8(''), options: [], payload: utf8('') }
  return [
    encodeMessage({ ...content, type: 'ACK', messageId }),
    encodeMessage({ ...content, type: 'CON', messageId: 77 }),
    encodeMessage({ ...content, type: 'NON', messageId: 78, code: coapCode.notFound }),
    encodeMessage({ ...empty, type: 'ACK', messageId }),
    encodeMessage({ ...empty, type: 'RST', messageId }),
  ]
})
const all = [...answers, ...figures, ...blocks, ...others]
const rows = [inRow(...all), inRow(...figures), ...all.map((one) => inRow(one, one, one, one))]

await fuzzAsync('coapEndpoint', rows, async (input) => {
  const house = new House()
  for (const datagram of messagesOf(input)) house.hears(datagram)
  await house.ends()
})
