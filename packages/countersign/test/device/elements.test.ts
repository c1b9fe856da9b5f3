/** A device's life with its key in each kind of element, on every road, with a house of ours. */
import assert from 'node:assert/strict'
import { access, copyFile, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import {
  type EnrollOptions,
  enroll,
  lineSource,
  renew,
  roadNames,
  run,
  send,
  show,
  systemWorld,
  textSample,
  type World,
} from '@countersign/device'
import { openElement } from '@countersign/element/compose'
import { elementError, type SecureElement } from '@countersign/element/ports'
import { serveEmulatedChip } from '@countersign/element/emulator'
import { skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { skip as noTpm, softTpm } from '../../../element/test/pkcs11/swtpm.ts'
import { openTestHouse } from './house.ts'

const house = await openTestHouse()
const parts = join(house.root, 'parts')
await mkdir(parts)
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)

const emulated = (name: string, query = 'times=none'): string =>
  `atecc608:emulator:${join(parts, name)}.json?${query}`

interface Kind {
  readonly name: string
  readonly skip?: string | false
  /** The URL, and what ends with the test. */
  open(): Promise<{ readonly url: string; readonly close?: () => Promise<void> }>
}

const kinds: readonly Kind[] = [
  { name: 'a software twin', open: async () => ({ url: 'sw:' }) },
  { name: 'an emulated ATECC608 on I2C', open: async () => ({ url: emulated('i2c') }) },
  {
    name: 'an emulated ATECC608 on a single wire',
    open: async () => ({ url: emulated('swi', 'framing=swi&times=none') }),
  },
  {
    name: 'an ATECC608 behind a relay',
    open: async () => {
      const socket = join(parts, 'relay.sock')
      const file = join(parts, 'relayed.json')
      const served = await serveEmulatedChip({ file, socket, times: 'none', blank: false })
      return { url: `atecc608:relay:${socket}`, close: () => served.close() }
    },
  },
  {
    name: 'a token of SoftHSM',
    skip: noTokens,
    open: async () => ({ url: softTokens()('life').url('device') }),
  },
  {
    name: 'a TPM 2.0',
    skip: noTpm,
    open: async () => ({ url: (await softTpm()).token('life').url('device') }),
  },
]

for (const kind of kinds)
  test(`with its key in ${kind.name} a device enrols, sends on every road and renews`, {
    skip: kind.skip ?? false,
  }, async () => {
    const { url, close } = await kind.open()
    const state = freshState()
    try {
      const { id, eui64 } = await enrolled(state, url, `LIFE-${states}`)
      await sendOnEveryRoad(state)
      const { certificate } = await renew({ state })
      // On coap with a new handshake.
      await sendOnEveryRoad(state)
      assert.equal((await show({ state })).certificate?.serial, certificate.serial)
      const events = await house.events(id)
      assert.deepEqual(
        events.map(({ id: event, data, road }) => [event, data, road]),
        [...roadNames, ...roadNames].map((road, index) => [
          `${eui64}-${index + 1}`,
          `by ${road}`,
          road,
        ]),
      )
      const { certificates } = await house.call('identity.show', { id })
      const x5t = certificates.find(({ serial }) => serial === certificate.serial)?.x5t
      assert.ok(events.slice(-roadNames.length).every(({ credential }) => credential === x5t))
    } finally {
      await close?.()
    }
  })

async function sendOnEveryRoad(state: string): Promise<void> {
  for (const road of roadNames) {
    await send({ state, road, topic: 'room', sample: textSample(`"by ${road}"`) })
  }
}

async function enrolled(
  state: string,
  element: string,
  serial: string,
  more: Partial<EnrollOptions> = {},
): Promise<{ readonly id: string; readonly eui64: string }> {
  return enroll({ ...(await house.invite()), serial, state, element, ...more })
}

test('the chip of another device in its place is found before anything is sent', async () => {
  const [state, other] = [freshState(), freshState()]
  await enrolled(state, emulated('own'), 'OWN')
  await enrolled(other, emulated('others'), 'OTHERS')
  await rename(join(parts, 'own.json'), join(parts, 'kept.json'))
  await copyFile(join(parts, 'others.json'), join(parts, 'own.json'))
  const attempt = send({ state, topic: 'room', sample: textSample('1') })
  await assert.rejects(attempt, { code: 'ERR_ELEMENT_SWAPPED' })
  await rename(join(parts, 'kept.json'), join(parts, 'own.json'))
  await send({ state, topic: 'room', sample: textSample('1') })
})

test('a key that a chip brings along is taken as it is; a new one goes beside it, or where that is said', async () => {
  const url = emulated('brought')
  const chip = await openElement(url, { folder: parts })
  const brought = await chip.generateKey(0)
  await chip.close()
  const [state, beside] = [freshState(), freshState()]
  await enrolled(state, url, 'BROUGHT')
  assert.equal((await show({ state })).slot, 0)
  await enrolled(beside, url, 'BESIDE', { newKey: true })
  assert.equal((await show({ state: beside })).slot, 2)
  assert.deepEqual(await keyOf(url, 0), brought)
  await send({ state, topic: 'room', sample: textSample('"still here"') })
  await assert.rejects(enrolled(freshState(), url, 'ATTESTS', { slot: 1 }), {
    code: 'ERR_ELEMENT_UNFIT',
  })
  await enrolled(freshState(), emulated('named'), 'NAMED', { slot: 4 })
  const named = await keyOf(emulated('named'), 4)
  await enrolled(freshState(), emulated('named'), 'AGAIN', { slot: 4, newKey: true })
  assert.notDeepEqual(await keyOf(emulated('named'), 4), named)
})

test('a chip with a key in each slot takes no new one by itself', async () => {
  const url = emulated('full')
  const chip = await openElement(url, { folder: parts })
  for (const slot of [0, 2, 4]) await chip.generateKey(slot)
  await chip.close()
  await assert.rejects(enrolled(freshState(), url, 'FULL', { newKey: true }), {
    code: 'ERR_ELEMENT_UNFIT',
    hint: /--slot N/,
  })
})

test('an enrolment that is tried again with another element has its key there', async () => {
  const state = freshState()
  const late = { ...(await house.invite()), token: 'wrong', serial: 'CHANGED', state }
  await assert.rejects(enroll({ ...late, element: 'sw:' }), { code: 'ERR_ENROLL_REFUSED' })
  const url = emulated('changed')
  await enrolled(state, url, 'CHANGED')
  const { element, slot } = await show({ state })
  assert.deepEqual([element, slot], [url, 0])
  await send({ state, topic: 'room', sample: textSample('1') })
})

test('a chip that is gone is said to be gone, and none is made in its place', async () => {
  const state = freshState()
  await enrolled(state, emulated('lost'), 'LOST')
  await rename(join(parts, 'lost.json'), join(parts, 'lost.kept'))
  await assert.rejects(renew({ state }), { code: 'ERR_ELEMENT_GONE' })
  await assert.rejects(send({ state, topic: 'room', sample: textSample('1') }), {
    code: 'ERR_ELEMENT_GONE',
  })
  await assert.rejects(access(join(parts, 'lost.json')), { code: 'ENOENT' })
  await rename(join(parts, 'lost.kept'), join(parts, 'lost.json'))
  await send({ state, topic: 'room', sample: textSample('1') })
})

/** Between two attempts. */
const quick = {
  backoff: { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } },
  narrow: { limits: { backoffFirstMs: 5, backoffMaxMs: 20 } },
}

test('a device that runs waits for an element that is away for a while', async () => {
  const state = freshState()
  const { id } = await enrolled(state, 'sw:', 'WAITS')
  const input = new Readable({ read: () => undefined })
  let away = 2
  const world = openingAs((element) => {
    const sign = element.sign.bind(element)
    element.sign = async (slot, digest) => {
      if (away-- > 0) throw elementError('ERR_ELEMENT_GONE', 'the token is not there')
      return sign(slot, digest)
    }
  })
  const heard: string[] = []
  const running = run({
    state,
    world,
    topic: 'room',
    source: lineSource(input),
    ...quick,
    listener: (event) => {
      heard.push('code' in event ? event.code : event.event)
      if (event.event === 'sent') input.push(null)
    },
  })
  input.push('"patient"\n')
  await running
  assert.deepEqual(heard.slice(0, 2), ['ERR_ELEMENT_GONE', 'ERR_ELEMENT_GONE'])
  assert.deepEqual(
    (await house.events(id)).map(({ data }) => data),
    ['patient'],
  )
})

for (const road of roadNames)
  test(`a token that is pulled while it signs for a handshake on ${road} fails that, and works when it is back`, {
    skip: noTokens,
  }, async () => {
    const token = softTokens()(`pulled-${road}`)
    const state = freshState()
    const { id } = await enrolled(state, token.url('device'), `PULLED-${road}`)
    const input = new Readable({ read: () => undefined })
    let pulls = 0
    const world = openingAs((element) => {
      const sign = element.sign.bind(element)
      element.sign = async (slot, digest) => {
        if (pulls++ === 0) token.pull()
        // What the library answers then.
        return sign(slot, digest)
      }
    })
    const heard: string[] = []
    const running = run({
      state,
      world,
      road,
      topic: 'room',
      source: lineSource(input),
      ...quick,
      listener: (event) => {
        heard.push('code' in event ? event.code : event.event)
        if (event.event === 'unreachable') token.putBack()
        if (event.event === 'sent') input.push(null)
      },
    })
    input.push('"by hand"\n')
    await running
    assert.equal(heard[0], 'ERR_ELEMENT_GONE')
    assert.deepEqual(
      (await house.events(id)).map(({ data }) => data),
      ['by hand'],
    )
  })

/** The world as it is, with a hand on each element that is opened. */
function openingAs(lay: (element: SecureElement) => void): World {
  const system = systemWorld()
  return {
    ...system,
    async openElement(url, folder, how) {
      const element = await system.openElement(url, folder, how)
      lay(element)
      return element
    },
  }
}

/** Counts what the element is asked for, and fails where the test says. */
function watching(fails: (act: 'make' | 'agree', nth: number) => boolean) {
  const counts = { make: 0, agree: 0 }
  const asked = (act: 'make' | 'agree'): void => {
    if (fails(act, ++counts[act])) throw elementError('ERR_ELEMENT_GONE', 'the chip is away')
  }
  const system = systemWorld()
  const world: World = {
    ...system,
    async openElement(url, folder, how) {
      const element = await system.openElement(url, folder, how)
      const make = element.ephemeral?.bind(element) ?? assert.fail('no ephemeral keys')
      element.ephemeral = async (agreements) => {
        asked('make')
        const { point, ...key } = await make(agreements)
        const agree = async (peer: Uint8Array): Promise<Uint8Array> => {
          asked('agree')
          return await key.agree(peer)
        }
        return { point, agree }
      }
      return element
    },
  }
  return { world, counts }
}

const overCoap = { road: 'coap', narrow: { ephemeral: 'element' } } as const

test('a device on coap has its ephemeral keys from its chip, which may be away at any step', async () => {
  const state = freshState()
  const { id } = await enrolled(state, emulated('away'), 'AWAY')
  const { world, counts } = watching((act, nth) => nth === 1 || (act === 'agree' && nth === 2))
  const heard: string[] = []
  const summary = await run({
    state,
    world,
    ...overCoap,
    topic: 'room',
    source: lineSource(Readable.from(['"kept"\n'])),
    narrow: { ...overCoap.narrow, limits: { backoffFirstMs: 5, backoffMaxMs: 20 } },
    backoff: { broken: { firstMs: 1, maxMs: 1 }, refused: { firstMs: 1, maxMs: 1 } },
    listener: (event) => {
      heard.push('code' in event ? event.code : event.event)
    },
  })
  assert.equal(summary.sent, 1)
  // Away when the first key is due, and at the agreement of the next two; pauses lie between.
  assert.deepEqual(counts, { make: 4, agree: 3 })
  assert.equal(heard.filter((one) => one === 'ERR_ELEMENT_GONE').length, 3)
  // The next one goes under the same keys.
  await send({ state, world, ...overCoap, topic: 'room', sample: textSample('"next"') })
  assert.equal(counts.make, 4)
  assert.deepEqual(
    (await house.events(id)).map(({ data }) => data),
    ['kept', 'next'],
  )
})

test('an element that makes no ephemeral keys is told from one that does before a reading is kept', async () => {
  const state = freshState()
  await enrolled(state, 'sw:', 'NONE')
  const system = systemWorld()
  const world: World = {
    ...system,
    async openElement(url, folder, how) {
      const element = await system.openElement(url, folder, how)
      return Object.defineProperty(element, 'ephemeral', { value: undefined })
    },
  }
  const sending = send({ state, world, ...overCoap, topic: 'room', sample: textSample('1') })
  await assert.rejects(sending, { code: 'ERR_ELEMENT_UNSUPPORTED', hint: /--ephemeral element/ })
  const { number } = await send({ state, topic: 'room', sample: textSample('1') })
  assert.equal(number, 1)
})

test('renewals go round the slots that sign, and never touch the others', async () => {
  const url = emulated('round')
  const state = freshState()
  await enrolled(state, url, 'ROUND')
  const before = await statesOf(url)
  await renew({ state })
  const after = await statesOf(url)
  assert.deepEqual(
    after.map(({ slot, state: held }) => [slot, held]),
    [
      [0, 'key'],
      [1, 'key'],
      [2, 'key'],
      [3, 'empty'],
      [4, 'empty'],
    ],
  )
  assert.equal(before.find(({ slot }) => slot === 2)?.state, 'empty')
})

async function keyOf(url: string, slot: number): Promise<Uint8Array> {
  const chip = await openElement(url, { folder: parts })
  try {
    return await chip.publicKey(slot)
  } finally {
    await chip.close()
  }
}

async function statesOf(url: string) {
  const chip = await openElement(url, { folder: parts })
  try {
    return await chip.slots()
  } finally {
    await chip.close()
  }
}
