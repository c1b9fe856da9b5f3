/**
 * The examples of RFC 7959 §3: what each end sends, in the notation of the figures, `1:NUM/M/size`.
 * Option values are written out from §2.2.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BlockAssembler,
  blockIn,
  blockOption,
  type CoapOption,
  coapCode,
  codeText,
  type OutgoingRequest,
  type OutgoingResponse,
  optionNumber,
  sendInBlocks,
  type Taken,
  valuesOf,
} from '../../src/coap/index.ts'
import { hex, utf8 } from '../../src/codec/index.ts'
import { HandTime, nothing, seeded } from './world.ts'

/** §2.2, §3: the value of an option and how it is drawn. */
const drawnBlocks: readonly (readonly [value: string, drawn: string])[] = [
  ['', '0/0/16'],
  ['06', '0/0/1024'],
  ['0b', '0/1/128'],
  ['21', '2/0/32'],
  ['3b', '3/1/128'],
  ['0400', '64/0/16'],
  ['fffffe', '1048575/1/1024'],
]

test('a block option has one value, and it is read back', () => {
  for (const [value, drawn] of drawnBlocks) {
    const block = read(drawn)
    assert.equal(hex(blockOption('block1', block).value), value)
    const option = { number: 23, value: Uint8Array.from(Buffer.from(value, 'hex')) }
    assert.deepEqual(blockIn({ options: [option] }, 'block2'), block)
  }
})

function read(drawn: string): { number: number; more: boolean; szx: number } {
  const [number, more, size] = drawn.split('/').map(Number)
  return { number: number ?? -1, more: more === 1, szx: Math.log2((size ?? 0) / 16) }
}

/** As the figures draw it; of the payload its length. */
function line(message: OutgoingResponse): string {
  const { code, options, payload } = message
  const blocks = (['block1', 'block2'] as const).flatMap((name, index) => {
    const block = blockIn({ options }, name)
    if (block === undefined) return []
    return [`${index + 1}:${block.number}/${block.more ? 1 : 0}/${16 << block.szx}`]
  })
  return [codeText(code), ...blocks, String(payload.length)].join(' ')
}

function body(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff)
}

function request(length: number, ...options: readonly CoapOption[]): OutgoingRequest {
  return {
    code: 2,
    options: [{ number: 11, value: utf8('soap') }, ...options],
    payload: body(length),
  }
}

function changed(length: number): OutgoingResponse {
  return { code: coapCode.changed, options: [], payload: body(length) }
}

interface Talk {
  readonly lines: string[]
  readonly bodies: Uint8Array[]
  readonly response: OutgoingResponse
}

type Server = (part: OutgoingRequest, serve: () => OutgoingResponse) => OutgoingResponse

/** A client, and a server that puts together and answers with so many bytes. */
async function talk(
  sent: OutgoingRequest,
  answered: number,
  szxMax = 3,
  between: Server = (_, serve) => serve(),
): Promise<Talk> {
  const [lines, bodies]: [string[], Uint8Array[]] = [[], []]
  const assembler = new BlockAssembler({ clock: new HandTime(), random: seeded(3) })
  const response = await sendInBlocks(
    sent,
    async (part) => {
      const answer = between(part, () => {
        const taken: Taken<OutgoingRequest> = assembler.take('peer', part)
        if (taken.kind === 'answer') return taken.response
        bodies.push(taken.request.payload)
        assert.deepEqual(taken.request.options, without(sent.options))
        return taken.answer(changed(answered))
      })
      lines.push(line(part), line(answer))
      return answer
    },
    { random: seeded(5), szxMax },
  )
  assert.equal(assembler.bytes, 0)
  return { lines, bodies, response }
}

function without(options: readonly CoapOption[]): readonly CoapOption[] {
  return options.filter(({ number }) => number !== optionNumber.block2)
}

test('figure 7: a body in three blocks', async () => {
  const { lines, bodies, response } = await talk(request(300), 0)
  assert.deepEqual(lines, [
    '0.02 1:0/1/128 128',
    '2.31 1:0/1/128 0',
    '0.02 1:1/1/128 128',
    '2.31 1:1/1/128 0',
    '0.02 1:2/0/128 44',
    '2.04 1:2/0/128 0',
  ])
  assert.deepEqual(bodies, [body(300)])
  assert.equal(response.code, coapCode.changed)
})

test('figure 9: the server wants smaller blocks from the second on', async () => {
  const { lines, bodies } = await talk(request(200), 0, 3, (part, serve) => {
    const response = serve()
    if (blockIn(part, 'block1')?.number !== 0) return response
    return { ...response, options: [blockOption('block1', read('0/1/32'))] }
  })
  assert.deepEqual(lines, [
    '0.02 1:0/1/128 128',
    '2.31 1:0/1/32 0',
    '0.02 1:4/1/32 32',
    '2.31 1:4/1/32 0',
    '0.02 1:5/1/32 32',
    '2.31 1:5/1/32 0',
    '0.02 1:6/0/32 8',
    '2.04 1:6/0/32 0',
  ])
  assert.deepEqual(bodies, [body(200)])
})

test('figures 10 and 11: a body in blocks either way, of the size that was asked for', async () => {
  const { lines, bodies, response } = await talk(
    request(300, { number: optionNumber.block2, value: Uint8Array.of(3) }),
    500,
  )
  assert.deepEqual(lines, [
    '0.02 1:0/1/128 2:0/0/128 128',
    '2.31 1:0/1/128 0',
    '0.02 1:1/1/128 2:0/0/128 128',
    '2.31 1:1/1/128 0',
    '0.02 1:2/0/128 2:0/0/128 44',
    '2.04 1:2/0/128 2:0/1/128 128',
    '0.02 2:1/0/128 0',
    '2.04 2:1/1/128 128',
    '0.02 2:2/0/128 0',
    '2.04 2:2/1/128 128',
    '0.02 2:3/0/128 0',
    '2.04 2:3/0/128 116',
  ])
  assert.deepEqual([bodies, response.payload], [[body(300)], body(500)])
})

test('figures 2 and 3: a response in blocks, of the size that was asked for', async () => {
  const asked = { number: optionNumber.block2, value: Uint8Array.of(2) }
  const { lines, response } = await talk({ ...request(0, asked), code: 1 }, 150)
  assert.deepEqual(lines, [
    '0.01 2:0/0/64 0',
    '2.04 2:0/1/64 64',
    '0.01 2:1/0/64 0',
    '2.04 2:1/1/64 64',
    '0.01 2:2/0/64 0',
    '2.04 2:2/0/64 22',
  ])
  assert.deepEqual(response.payload, body(150))
})

test('what fits into one message goes in one', async () => {
  const { lines } = await talk(request(1024), 1024, 6)
  assert.deepEqual(lines, ['0.02 1024', '2.04 1024'])
})

test('a body of 64 KiB goes in blocks of 1024 bytes, either way', async () => {
  const { lines, bodies, response } = await talk(request(65_536), 65_536, 6)
  assert.equal(lines.length, 2 * (64 + 63))
  assert.deepEqual([bodies, response.payload], [[body(65_536)], body(65_536)])
})

test('blocks of one body carry one tag, blocks of the next another', async () => {
  const tags: string[] = []
  const random = seeded(5)
  for (let round = 0; round < 2; round++) {
    await sendInBlocks(
      request(300),
      async (part) => {
        tags.push(...valuesOf(part.options, optionNumber.requestTag).map(hex))
        const block = blockIn(part, 'block1') ?? read('0/0/16')
        const code = block.more ? coapCode.continue : coapCode.changed
        return { code, options: [blockOption('block1', block)], payload: nothing }
      },
      { random, szxMax: 3 },
    )
  }
  assert.equal(tags.length, 6)
  assert.equal(new Set(tags).size, 2)
})
