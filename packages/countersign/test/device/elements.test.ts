/** A device's life with its key in each kind of element, on both roads, with a house of ours. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type EnrollOptions,
  enroll,
  renew,
  roadNames,
  send,
  show,
  textSample,
} from '@countersign/device'
import { openElement } from '@countersign/element/compose'
import { serveEmulatedChip } from '@countersign/element/emulator'
import { skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
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
]

for (const kind of kinds)
  test(`with its key in ${kind.name} a device enrols, sends on both roads and renews`, {
    skip: kind.skip ?? false,
  }, async () => {
    const { url, close } = await kind.open()
    const state = freshState()
    try {
      const { id, eui64 } = await enrolled(state, url, `LIFE-${states}`)
      for (const road of roadNames) {
        await send({ state, road, topic: 'room', sample: textSample(`"by ${road}"`) })
      }
      const { certificate } = await renew({ state })
      await send({ state, topic: 'room', sample: textSample('"renewed"') })
      assert.equal((await show({ state })).certificate?.serial, certificate.serial)
      const events = await house.events(id)
      assert.deepEqual(
        events.map(({ id: event, data, road }) => [event, data, road]),
        [
          [`${eui64}-1`, 'by https', 'https'],
          [`${eui64}-2`, 'by mqtts', 'mqtts'],
          [`${eui64}-3`, 'renewed', 'https'],
        ],
      )
    } finally {
      await close?.()
    }
  })

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

test('a key that a chip brings along is taken as it is, and replaced when that is asked for', async () => {
  const url = emulated('brought')
  const chip = await openElement(url, { folder: parts })
  const brought = await chip.generateKey(0)
  await chip.close()
  await enrolled(freshState(), url, 'BROUGHT')
  const kept = await openElement(url, { folder: parts })
  assert.deepEqual(await kept.publicKey(0), brought)
  await kept.close()
  await enrolled(freshState(), url, 'REPLACED', { newKey: true })
  const replaced = await openElement(url, { folder: parts })
  assert.notDeepEqual(await replaced.publicKey(0), brought)
  await replaced.close()
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

async function statesOf(url: string) {
  const chip = await openElement(url, { folder: parts })
  try {
    return await chip.slots()
  } finally {
    await chip.close()
  }
}
