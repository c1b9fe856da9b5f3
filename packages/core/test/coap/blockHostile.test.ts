/** Bodies in blocks that break RFC 7959, come out of order, never end, or are of two bodies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Block,
  BlockAssembler,
  blockIn,
  blockOption,
  bodyLimits,
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
import { fromHex, hex } from '../../src/codec/index.ts'
import { PeerError } from '../../src/errors.ts'
import { HandTime, nothing, seeded } from './world.ts'

function assembler(limits: Partial<typeof bodyLimits> = {}, time = new HandTime()): BlockAssembler {
  return new BlockAssembler({ clock: time, random: seeded(3), limits })
}

function part(block: Block, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const payload = new Uint8Array(16 << block.szx).fill(block.number)
  return { code: 2, payload, options: [blockOption('block1', block)], ...more }
}

/** `1/1/16`, with a payload as long as a block. */
function drawn(text: string): OutgoingRequest {
  const [number = 0, more = 0, size = 0] = text.split('/').map(Number)
  return part({ number, more: more === 1, szx: Math.log2(size / 16) })
}

function outcome(taken: Taken<OutgoingRequest>): string {
  if (taken.kind === 'whole') return `whole ${taken.request.payload.length}`
  return codeText(taken.response.code)
}

/** One line for each block. */
function outcomes(blocks: readonly OutgoingRequest[], at: BlockAssembler = assembler()): string[] {
  return blocks.map((block) => outcome(at.take('peer', block)))
}

test('blocks are taken in order, others refused, and a refused one changes nothing', () => {
  const blocks = ['1/1/16', '0/1/16', '2/1/16', '1/1/16', '1/1/16', '0/0/32', '2/0/16'].map(drawn)
  assert.deepEqual(outcomes(blocks), ['4.08', '2.31', '4.08', '2.31', '4.08', 'whole 32', '4.08'])
})

test('a first block begins anew', () => {
  const blocks = ['0/1/16', '1/1/16', '0/1/16', '1/0/16'].map(drawn)
  assert.deepEqual(outcomes(blocks), ['2.31', '2.31', '2.31', 'whole 32'])
})

test('a body is of one peer', () => {
  const at = assembler()
  assert.equal(outcome(at.take('one', drawn('0/1/16'))), '2.31')
  assert.equal(outcome(at.take('other', drawn('1/0/16'))), '4.08')
  at.forget('one')
  assert.equal(outcome(at.take('one', drawn('1/0/16'))), '4.08')
  assert.equal(at.bytes, 0)
})

test('a body of one key that begins within another thing takes the place of the one before', () => {
  const at = assembler({ bodiesMax: 2 })
  const [one, other] = [Uint8Array.of(1), Uint8Array.of(2)]
  for (let n = 0; n < 5; n++) {
    assert.equal(outcome(at.take('peer', drawn('0/1/16'), Uint8Array.of(9, n))), '2.31')
  }
  assert.equal(outcome(at.take('peer', drawn('0/1/16'), one)), '2.31')
  assert.equal(outcome(at.take('peer', drawn('1/0/16'), other)), '4.08')
  assert.equal(outcome(at.take('peer', drawn('1/0/16'))), '4.08')
  assert.equal(outcome(at.take('peer', drawn('1/0/16'), one)), 'whole 32')
  assert.equal(at.bytes, 0)
})

const first: Block = { number: 0, more: true, szx: 0 }
const last: Block = { number: 1, more: false, szx: 0 }

function withOptions(block: Block, ...options: readonly CoapOption[]): OutgoingRequest {
  return part(block, { options: [...options, blockOption('block1', block)] })
}

function tag(value: string): CoapOption {
  return option(optionNumber.requestTag, value)
}

test('a block of another body is not taken: another tag, path, format or code', () => {
  for (const [one, other] of [
    [withOptions(first, tag('01')), withOptions(last, tag('02'))],
    [withOptions(first, tag('01')), withOptions(last)],
    [withOptions(first), withOptions(last, tag(''))],
    [withOptions(first, option(11, '61')), withOptions(last, option(11, '62'))],
    [withOptions(first, option(12, '2a')), withOptions(last, option(12, ''))],
    [withOptions(first), part(last, { code: 3 })],
  ] as const) {
    assert.deepEqual(outcomes([one, other]), ['2.31', '4.08'])
  }
})

test('options that speak of one message are not compared', () => {
  for (const more of [
    option(optionNumber.size1, '0020'),
    option(optionNumber.echo, '0102'),
    option(optionNumber.ifNoneMatch, ''),
  ]) {
    const blocks = [withOptions(first, more), withOptions(last)]
    assert.deepEqual(outcomes(blocks), ['2.31', 'whole 32'])
  }
})

function option(number: number, value: string): CoapOption {
  return { number, value: fromHex(value) }
}

test('blocks of a wrong form are refused', () => {
  const wrong: readonly OutgoingRequest[] = [
    // SZX 7, twice, four bytes.
    part(first, { options: [option(27, '0f')] }),
    part(first, { options: [option(27, '08'), option(27, '08')] }),
    part(first, { options: [option(27, '00000008')] }),
    part(first, { options: [option(23, '07')] }),
    part(first, { payload: new Uint8Array(15) }),
    part(first, { payload: new Uint8Array(17) }),
    part(first, { payload: nothing }),
  ]
  for (const block of wrong) assert.deepEqual(outcomes([block]), ['4.00'])
})

test('RFC 7959 §2.3: the size of the last block is free', () => {
  for (const length of [0, 15, 17]) {
    const end = part(last, { payload: new Uint8Array(length) })
    assert.deepEqual(outcomes([part(first), end]), ['2.31', `whole ${16 + length}`])
  }
})

test('a body is as large as it may be, and not larger', () => {
  const at = assembler({ bodyBytesMax: 48 })
  const blocks = ['0/1/16', '1/1/16', '2/0/16'].map(drawn)
  assert.deepEqual(outcomes(blocks, at), ['2.31', '2.31', 'whole 48'])
  const more = ['0/1/16', '1/1/32', '1/1/16', '2/1/16', '3/0/16', '3/0/16'].map(drawn)
  assert.deepEqual(outcomes(more, at), ['2.31', '4.13', '2.31', '2.31', '4.13', '4.13'])
  assert.equal(at.bytes, 0)
  const refused = at.take('peer', drawn('1048575/0/1024'))
  assert.ok(refused.kind === 'answer')
  assert.deepEqual(valuesOf(refused.response.options, optionNumber.size1).map(hex), ['30'])
})

test('a body that does not go on is forgotten after EXCHANGE_LIFETIME', () => {
  const time = new HandTime()
  const at = assembler({}, time)
  at.take('peer', drawn('0/1/16'))
  time.advance(246_999)
  assert.equal(outcome(at.take('peer', drawn('1/1/16'))), '2.31')
  time.advance(247_000)
  assert.equal(outcome(at.take('peer', drawn('2/0/16'))), '4.08')
  assert.equal(at.bytes, 0)
})

test('bodies of many peers fill no more memory than there may be', () => {
  const time = new HandTime()
  const limits = { bodiesMax: 100, allBytesMax: 200_000 }
  const at = assembler(limits, time)
  const seen = new Map<string, number>()
  for (let number = 0; number < 4; number++) {
    for (let peer = 0; peer < 500; peer++) {
      const text = outcome(at.take(`peer ${peer}`, drawn(`${number}/1/1024`)))
      seen.set(text, (seen.get(text) ?? 0) + 1)
      assert.ok(at.bytes <= limits.allBytesMax)
    }
  }
  // 100 first blocks, then as many second ones as fit; who was refused is told to come later.
  assert.deepEqual([...seen.keys()].toSorted(), ['2.31', '4.08', '5.03'])
  time.advance(bodyLimits.idleMs)
  assert.equal(outcome(at.take('late', drawn('0/1/1024'))), '2.31')
  assert.ok(at.bytes < 2000)
})

function asks(number: number, path = '61'): OutgoingRequest {
  const block = blockOption('block2', { number, more: false, szx: 0 })
  return { code: 2, options: [option(11, path), block], payload: nothing }
}

test('a response is given out to whoever asked, for the same thing, block by block', () => {
  const at = assembler()
  const taken = at.take('peer', asks(0))
  assert.ok(taken.kind === 'whole')
  const answered = taken.answer({ code: 0x44, options: [], payload: new Uint8Array(40) })
  assert.equal(answered.payload.length, 16)
  assert.equal(outcome(at.take('other', asks(1))), '4.08')
  assert.equal(outcome(at.take('peer', asks(1, '62'))), '4.08')
  assert.equal(outcome(at.take('peer', asks(3))), '4.00')
  assert.equal(outcome(at.take('peer', asks(1))), '2.04')
  assert.equal(outcome(at.take('peer', asks(1))), '2.04')
  assert.equal(outcome(at.take('peer', asks(2))), '2.04')
  assert.equal(outcome(at.take('peer', asks(2))), '4.08')
  assert.equal(at.bytes, 0)
})

test('a response that is too large is the mistake of whoever gave it', () => {
  const taken = assembler({ bodyBytesMax: 4096 }).take('peer', { ...drawn('0/0/16'), options: [] })
  assert.ok(taken.kind === 'whole')
  const large = { code: 0x45, options: [], payload: new Uint8Array(4097) }
  assert.throws(() => taken.answer(large), { code: 'ERR_COAP_SIZE' })
})

type Answer = (sent: OutgoingRequest, count: number) => OutgoingResponse

async function sends(answer: Answer, bytes = 100): Promise<OutgoingResponse> {
  let count = 0
  return await sendInBlocks(
    { code: 2, options: [], payload: new Uint8Array(bytes) },
    async (sent) => answer(sent, count++),
    { random: seeded(1), szxMax: 1 },
  )
}

function answering(code: number, ...options: readonly CoapOption[]): OutgoingResponse {
  return { code, options, payload: nothing }
}

const foul: readonly (readonly [what: string, answer: Answer])[] = [
  ['goes on without saying with which block', () => answering(coapCode.continue)],
  [
    'goes on with another block',
    () => answering(coapCode.continue, blockOption('block1', { number: 7, more: true, szx: 1 })),
  ],
  [
    'goes on behind the last block',
    (sent) => answering(coapCode.continue, ...sent.options.filter(({ number }) => number === 27)),
  ],
  ['is content with the first block', () => answering(coapCode.changed)],
  ['has a reserved size', () => answering(coapCode.continue, option(27, '0f'))],
]

for (const [what, answer] of foul) {
  test(`a server that ${what} is not believed`, async () => {
    await assert.rejects(
      sends(answer),
      (error) => error instanceof PeerError && error.code === 'ERR_COAP_BLOCK',
    )
  })
}

test('a refusal in between is the response', async () => {
  const response = await sends((sent, count) =>
    count === 0
      ? answering(coapCode.continue, ...sent.options.filter(({ number }) => number === 27))
      : answering(coapCode.requestEntityIncomplete),
  )
  assert.equal(response.code, coapCode.requestEntityIncomplete)
})

test('RFC 7959 §2.9.3: a server that wants smaller blocks gets them, once for each size', async () => {
  const sizes: number[] = []
  const response = await sends((sent) => {
    const block = blockIn(sent, 'block1')
    sizes.push(sent.payload.length)
    if (block?.more !== true) return answering(coapCode.changed)
    if (block.szx === 0) return answering(coapCode.continue, blockOption('block1', block))
    return answering(
      coapCode.requestEntityTooLarge,
      blockOption('block1', { ...block, szx: block.szx - 1 }),
    )
  })
  assert.deepEqual(sizes, [32, 16, 16, 16, 16, 16, 16, 4])
  assert.equal(response.code, coapCode.changed)
})

const etag = option(optionNumber.etag, '01')

function served(
  number: number,
  more: boolean,
  size: number,
  ...options: CoapOption[]
): OutgoingResponse {
  const block = blockOption('block2', { number, more, szx: 0 })
  return { code: 0x45, options: [block, ...options], payload: new Uint8Array(size) }
}

const foulBodies: readonly (readonly [what: string, ...responses: OutgoingResponse[]])[] = [
  ['begins in the middle', served(1, true, 16)],
  ['has a short block', served(0, true, 15)],
  ['has a long block', served(0, true, 17)],
  ['has an empty block', served(0, true, 0)],
  ['repeats a block', served(0, true, 16), served(0, true, 16)],
  ['leaves out a block', served(0, true, 16), served(2, false, 16)],
  ['ends without a block', served(0, true, 16), { code: 0x45, options: [], payload: nothing }],
  ['changes', served(0, true, 16, etag), served(1, false, 16)],
  ['changes its format', served(0, true, 16, option(12, '')), served(1, false, 16)],
  ['changes its code', served(0, true, 16), { ...served(1, false, 16), code: 0x44 }],
  ['grows', served(0, true, 16), { ...served(1, false, 16), options: [option(23, '11')] }],
]

for (const [what, ...responses] of foulBodies) {
  test(`a response that ${what} is not believed`, async () => {
    await assert.rejects(
      sends((_, count) => responses[count] ?? answering(0x45), 0),
      (error) => error instanceof PeerError && error.code === 'ERR_COAP_BLOCK',
    )
  })
}

test('a response without end is given up at its limit', async () => {
  let asked = 0
  const endless = sends((_, count) => {
    asked = count
    return served(count, true, 16)
  }, 0)
  await assert.rejects(endless, { code: 'ERR_COAP_BLOCK' })
  assert.equal(asked, bodyLimits.bodyBytesMax / 16)
})
