import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults, makeReport, type Observations } from '../../src/demo/report.ts'

const id = 'urn:dev:mac:02005efffe000001'
const reading = (number: number, over = {}): Observations['received'][number] => ({
  id: `02005efffe000001-${number}`,
  source: id,
  data: `{"celsius":${number}}`,
  road: 'https',
  assurance: 0,
  ...over,
})
const good: Observations = {
  seconds: 3.26,
  devices: [
    {
      id,
      product: 'thermostat',
      element: 'software',
      assurance: 0,
      road: 'https',
      offered: new Map([1, 2].map((number) => [reading(number).id, reading(number).data])),
      offeredAfter: new Set([reading(3).id]),
      refused: 1,
    },
  ],
  received: [reading(1), reading(2), reading(2)],
  gateways: { https: { frames: 90, tampered: 3, plaintext: 0 } },
  revocations: [{ id, road: 'https', milliseconds: 12, reason: 'ERR_DEVICE_REVOKED' }],
  edhoc: {},
  commands: [
    { device: id, road: 'https', wanted: 'answered', state: 'answered', result: '1', did: ['1'] },
    { device: id, road: 'https', wanted: 'expired', state: 'expired', result: 'null', did: [] },
  ],
  steps: [{ name: 'a step', ok: true, milliseconds: 5 }],
}
const [answered, expired] = good.commands
assert.ok(answered && expired)
const [device] = good.devices
assert.ok(device)

test('a demo in which everything was seen is ok, and the report counts distinct readings', () => {
  assert.deepEqual(faults(good), [])
  assert.deepEqual(makeReport(good), {
    ok: true,
    seconds: 3.3,
    devices: [
      {
        id,
        product: 'thermostat',
        element: 'software',
        assurance: 0,
        road: 'https',
        sent: 2,
        received: 2,
        refused: 1,
      },
    ],
    gateway: {
      frames: 90,
      tampered: 3,
      plaintext: 0,
      roads: { https: { frames: 90, tampered: 3, plaintext: 0 } },
    },
    edhoc: {},
    revocation: [{ id, road: 'https', milliseconds: 12, reason: 'ERR_DEVICE_REVOKED' }],
    steps: [{ name: 'a step', ok: true, milliseconds: 5 }],
  })
})

const bent: Readonly<Record<string, Partial<Observations>>> = {
  'a reading that the application lacks': { received: [reading(1)] },
  'nothing received at all': { received: [] },
  'a reading with another content': {
    received: [reading(1), reading(2, { data: '{"celsius":99}' })],
  },
  'one id with two contents': { received: [...good.received, reading(1, { data: '{}' })] },
  'a reading nobody offered': { received: [...good.received, reading(7)] },
  'a reading offered after the revocation': { received: [...good.received, reading(3)] },
  'a device that was never allowed': {
    received: [...good.received, reading(9, { source: 'urn:dev:mac:02005efffe0000ff' })],
  },
  'another road': { received: [reading(1), reading(2, { road: 'mqtts' })] },
  'an assurance nobody proved': { received: [reading(1), reading(2, { assurance: 3 })] },
  'a step that failed': { steps: [...good.steps, { name: 'x', ok: false, milliseconds: 1 }] },
  'no steps': { steps: [] },
  'no command': { commands: [] },
  'a command that was not answered': { commands: [{ ...answered, state: 'delivered' }] },
  'an answer that nobody gave': { commands: [{ ...answered, did: [] }] },
  'another answer than the device gave': { commands: [{ ...answered, result: '2' }] },
  'a command that ran twice': { commands: [{ ...answered, did: ['1', '1'] }] },
  'a command that was late and came': { commands: [answered, { ...expired, did: ['1'] }] },
  'a command that was late and answered': {
    commands: [answered, { ...expired, state: 'answered' }],
  },
  'no devices': { devices: [], received: [] },
  'a device that offered nothing': { devices: [{ ...device, offered: new Map() }], received: [] },
  'no revocation': { revocations: [] },
  'a revocation that came late': {
    revocations: [{ id, road: 'https', milliseconds: 2001, reason: 'ERR_DEVICE_REVOKED' }],
  },
  'a revocation that did not cut the connection': {
    revocations: [{ id, road: 'https', milliseconds: undefined, reason: 'ERR_DEVICE_REVOKED' }],
  },
  'a revocation without a reason in the books': {
    revocations: [{ id, road: 'https', milliseconds: 12, reason: undefined }],
  },
  'a revocation with another reason in the books': {
    revocations: [{ id, road: 'https', milliseconds: 12, reason: 'ERR_CERT_EXPIRED' }],
  },
  'a revoked device that was never refused': { devices: [{ ...device, refused: 0 }] },
  'readable text at the gateway': {
    gateways: { https: { frames: 90, tampered: 3, plaintext: 1 } },
  },
  'a gateway that attacked nothing': {
    gateways: { https: { frames: 90, tampered: 0, plaintext: 0 } },
  },
  'a gateway that carried nothing': {
    gateways: { https: { frames: 0, tampered: 1, plaintext: 0 } },
  },
  'a road whose gateway nobody saw': { gateways: {} },
  'a revocation on another road than the device takes': {
    revocations: [{ id, road: 'mqtts', milliseconds: 12, reason: 'ERR_DEVICE_REVOKED' }],
  },
}

const other = 'urn:dev:mac:02005efffe000002'
const otherReading = { ...reading(1), id: '02005efffe000002-1', source: other, road: 'mqtts' }
/** A second device on a road of its own. */
const both: Observations = {
  ...good,
  devices: [
    device,
    {
      ...device,
      id: other,
      road: 'mqtts',
      offered: new Map([[otherReading.id, otherReading.data]]),
      offeredAfter: new Set(),
    },
  ],
  received: [...good.received, otherReading],
  gateways: { ...good.gateways, mqtts: { frames: 40, tampered: 2, plaintext: 0 } },
  revocations: [
    ...good.revocations,
    { id: other, road: 'mqtts', milliseconds: 9, reason: 'ERR_CERT_REVOKED' },
  ],
  commands: [...good.commands, { ...answered, device: other, road: 'mqtts' }],
}

test('of several roads each has to show everything, and the gateways are added up', () => {
  assert.deepEqual(faults(both), [])
  assert.partialDeepStrictEqual(makeReport(both).gateway, {
    frames: 130,
    tampered: 5,
    plaintext: 0,
  })
  const mqtts = { frames: 40, tampered: 2, plaintext: 0 }
  for (const change of [
    { revocations: good.revocations },
    { commands: good.commands },
    { gateways: good.gateways },
    { gateways: { ...good.gateways, mqtts: { ...mqtts, frames: 0 } } },
    { gateways: { ...good.gateways, mqtts: { ...mqtts, tampered: 0 } } },
    { gateways: { ...good.gateways, mqtts: { ...mqtts, plaintext: 1 } } },
  ]) {
    const [fault, ...more] = faults({ ...both, ...change })
    assert.match(fault ?? '', /mqtts/)
    assert.ok(more.every((each) => each.includes('mqtts')))
  }
})

/** The second device is on coap. */
const narrow: Observations = {
  ...both,
  devices: both.devices.map((each) => (each.road === 'mqtts' ? { ...each, road: 'coap' } : each)),
  received: both.received.map((each) => (each.road === 'mqtts' ? { ...each, road: 'coap' } : each)),
  gateways: { ...good.gateways, coap: { frames: 40, tampered: 2, plaintext: 0 } },
  edhoc: { coap: [37, 118, 90] },
  revocations: both.revocations.map((each) =>
    each.road === 'mqtts' ? { ...each, road: 'coap' } : each,
  ),
  commands: both.commands.map((each) => (each.road === 'mqtts' ? { ...each, road: 'coap' } : each)),
}

test('on coap a handshake has to be seen too, with certificates by their names', () => {
  assert.deepEqual(faults(narrow), [])
  assert.deepEqual(makeReport(narrow).edhoc, { coap: [37, 118, 90] })
  for (const edhoc of [{}, { coap: [] }, { coap: [37, 118] }, { coap: [38, 790, 90] }]) {
    assert.match(faults({ ...narrow, edhoc }).join(), /handshake/)
  }
  for (const change of [
    { revocations: good.revocations },
    { commands: good.commands },
    { gateways: good.gateways },
  ]) {
    assert.match(faults({ ...narrow, ...change }).join(), /coap/)
  }
})

for (const [what, change] of Object.entries(bent)) {
  test(`${what} is not ok`, () => {
    const seen = { ...good, ...change }
    assert.notDeepEqual(faults(seen), [])
    assert.equal(makeReport(seen).ok, false)
  })
}
