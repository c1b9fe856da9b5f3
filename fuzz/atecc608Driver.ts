/**
 * Fuzzes what an ATECC608 answers: any bytes behind any command, and any bytes as its configuration.
 * `node fuzz/atecc608Driver.ts --seconds N --seed S`
 */
import { PeerError } from '@countersign/core/errors'
import { isElementError } from '@countersign/core/ports'
import {
  parseChipConfig,
  writeChipConfig,
} from '../packages/element/src/drivers/atecc608/config.ts'
import {
  type AnswerShape,
  type Command,
  decodeAnswer,
} from '../packages/element/src/drivers/atecc608/packet.ts'
import { readAnswer, readWakeAnswer } from '../packages/element/src/drivers/atecc608/status.ts'
import { each, fuzz } from './fuzz.ts'

const shapes: readonly AnswerShape[] = [
  4,
  32,
  64,
  'status',
  'verdict',
  'map',
  { lengthMax: 99 },
  { length: 32, orStatus: 1 },
]
const commands: readonly Command[] = shapes.map((answer) => ({
  name: 'SelfTest',
  param1: 0x3b,
  param2: 0,
  answer,
  repeat: 'alone',
}))

/** Answers with good CRCs, among them of each length; a configuration. */
const corpus = [
  '04113343',
  '04000340',
  '040f23 42'.replace(' ', ''),
  '04ff0142',
  '0700006003 83bb'.replace(' ', ''),
  '0123a1b200006003c3d4e5f6ee010100c0000028'.padEnd(172, '0') +
    '55000000ffff00000000' +
    '3300'.repeat(16),
].map((digits) => Uint8Array.from(Buffer.from(digits, 'hex')))

fuzz('atecc608Driver', corpus, (input) =>
  each([
    () => answerOf(input),
    () => asPeer(() => commands.forEach((command) => readAnswer(command, input))),
    () => configOf(input),
  ]),
)

/** The whole way of an answer: its packet, and then its meaning for each command. */
function answerOf(input: Uint8Array): void {
  readWakeAnswer(input)
  const payload = decodeAnswer(input)
  if (payload === undefined) throw new PeerError('ERR_FUZZ', 'no packet')
  if (payload.length !== input.length - 3) throw new Error('an answer with other bytes')
  for (const command of commands) asPeer(() => readAnswer(command, payload))
}

function configOf(input: Uint8Array): void {
  asPeer(() => {
    const back = writeChipConfig(parseChipConfig(input))
    if (!Buffer.from(back).equals(input)) throw new Error('a configuration came back changed')
  })
}

/** To the fuzzer a refusal is what a peer did, whoever's fault it is in the field. */
function asPeer(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (isElementError(error)) throw new PeerError(error.code, error.message)
    throw error
  }
}
