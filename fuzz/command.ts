/** Fuzzes a device's parser of commands. `node fuzz/command.ts --seconds N --seed S` */
import { parseCommand } from '@countersign/device'
import { fuzz } from './fuzz.ts'

const expires = '"expires":"2027-01-31T12:00:00.000Z"'
const corpus = ['null', '{"a":[1,2,{"b":"\\"}]"}]}', '12345678901234567890', '"\\u00e9"'].map(
  (data) => `{"id":"${'0123456789abcdef'.repeat(2)}","name":"set.point","data":${data},${expires}}`,
)

fuzz(
  'command',
  corpus.map((text) => new TextEncoder().encode(text)),
  (input) => parseCommand(Buffer.from(input).toString('utf8')),
)
