/** What to say to a peer, and how to know its whole answer. Bytes are Latin-1 text here. */
import { generate, type Packet } from 'mqtt-packet'
import type { Speech } from './peer.ts'

export interface Conversation {
  readonly question: string
  /** Of everything that came since the handshake. */
  readonly answer: RegExp
}

const mqtt = (packet: Packet): string => generate(packet).toString('latin1')
const accepted = mqtt({ cmd: 'connack', returnCode: 0, sessionPresent: false })

export const conversations: Readonly<Record<Speech, Conversation>> = {
  report: { question: 'hello\n', answer: /^\{.*\}\nhello\n$/ },
  echo: { question: 'hello\n', answer: /^hello\n$/ },
  reversed: { question: 'hello\n', answer: /^olleh\n$/ },
  http: {
    question: 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    answer: /^HTTP\/1\.[01] 200 .*\r\n\r\n.*(\}|<\/BODY><\/HTML>)\s*$/is,
  },
  mqtt: {
    question: mqtt({ cmd: 'connect', clientId: 'rig', clean: true }),
    answer: new RegExp(`^${accepted}$`),
  },
}
