/** Where a device's server speaks coap: told at enrolment, kept, and asked for when it is not known. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { enroll, send, show, textSample } from '@countersign/device'
import { openTestHouse } from './house.ts'

const house = await openTestHouse()
const sample = textSample('1')
const topic = 'x'

test('is kept by an enrolment, and shown', async () => {
  const state = join(house.root, 'told')
  const invitation = await house.invite()
  await enroll({ ...invitation, serial: 'CO-1', state })
  assert.equal((await show({ state })).coap, invitation.coap)
})

test('is asked for by a device that was not told, and its reading gets no number', async () => {
  const state = join(house.root, 'untold')
  const { server, mqtts, token, anchor } = await house.invite()
  await enroll({ server, mqtts, token, anchor, serial: 'CO-2', state })
  assert.equal((await show({ state })).coap, null)
  await assert.rejects(send({ state, road: 'coap', topic, sample }), {
    code: 'ERR_NO_COAP',
    where: '--coap',
    hint: /coap:\/\/HOST:PORT/,
  })
  const elsewhere = send({ state, road: 'coap', coap: mqtts, topic, sample })
  await assert.rejects(elsewhere, { code: 'ERR_SERVER_URL', where: '--coap' })
  assert.equal((await send({ state, topic, sample })).number, 1)
})

test('is not known to a device that enrolled before there was one, which goes on as it is', async () => {
  const state = join(house.root, 'old')
  await enroll({ ...(await house.invite()), serial: 'CO-3', state })
  const file = join(state, 'identity.json')
  const { coap: _, ...old } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, JSON.stringify(old))
  assert.equal((await show({ state })).coap, null)
  assert.equal((await send({ state, topic, sample })).number, 1)
})

test('that is no URL of coap is refused before anything is made', async () => {
  const state = join(house.root, 'wrong')
  const wrong = { ...(await house.invite()), coap: 'https://localhost:5683' }
  await assert.rejects(enroll({ ...wrong, serial: 'CO-4', state }), { where: '--coap' })
  await assert.rejects(show({ state }), { code: 'ERR_NOT_ENROLLED' })
})
