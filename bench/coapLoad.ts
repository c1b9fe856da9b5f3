/**
 * The load of `coap.ts`, in a process of its own: devices on one UDP socket, each with one datagram
 * under way at a time. On the coap door these are readings under OSCORE, a bare server gets datagrams
 * as long as those. What is sent was made before, and answers are verified afterwards: the load costs
 * less than whom it measures.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fromHex } from '@countersign/core/codec'
import type { ShownDevice } from './load.ts'
import { NarrowDevice, type Prepared } from './narrowDevice.ts'

export interface CoapOrder {
  readonly port: number
  /** Of the coap door, hex; undefined: a bare server. */
  readonly serverLeaf: string | undefined
  readonly devices: readonly Pick<ShownDevice, 'cert' | 'key'>[]
  /** Of the first reading of each device: no load before has used it or a higher one. */
  readonly number: number
}

/** After the order, by which devices meet the server. */
export type CoapWord = 'prepare' | 'go' | 'pause'
export type CoapTold =
  | { readonly kind: 'up' | 'prepared' }
  /** Readings that were taken since the last time, and how many had to be given up. */
  | { readonly kind: 'paused'; readonly done: number; readonly lost: number }

/** A reading whose answer has not come by then was lost. */
const lostMs = 1000
/** Datagrams of a device for one round: nobody sends more. An echo is faster, and costs nothing. */
const readyMax = { oscore: 250, echo: 4000 }
/** A handshake takes its time; none of these may be lost. */
const introducedAtOnce = 10
/** As long as a reading of a NarrowDevice under OSCORE. */
const echoBytes = 97

type Talker = () => Prepared

const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
socket.bind(0, '127.0.0.1')
await once(socket, 'listening')

/** Its answer, by the token that is the number of the asker. */
type OnAnswer = (datagram: Uint8Array) => void
const asked = new Map<number, OnAnswer>()
socket.on('message', (datagram) => {
  const number = datagram.readUInt16BE(4)
  const onAnswer = asked.get(number)
  asked.delete(number)
  onAnswer?.(datagram)
})

process.once('message', (order: CoapOrder) => void serve(order))

async function serve(order: CoapOrder): Promise<void> {
  const talkers: Talker[] = []
  for (let first = 0; first < order.devices.length; first += introducedAtOnce) {
    const some = order.devices.slice(first, first + introducedAtOnce)
    const met = some.map((device, index) => talkerOf(device, first + index, order))
    talkers.push(...(await Promise.all(met)))
  }
  const length = readyMax[order.serverLeaf === undefined ? 'echo' : 'oscore']
  const now = { done: 0, lost: 0, isGoing: false }
  let prepared: readonly Prepared[][] = []
  let talks: readonly Promise<void>[] = []
  const answers: (() => void)[] = []
  const talk = async (own: Prepared[]): Promise<void> => {
    for (let one = own.pop(); one !== undefined && now.isGoing; one = own.pop()) {
      const { datagram, took } = one
      const answer = await ask(datagram, order.port)
      if (answer === undefined) now.lost++
      else answers.push(() => took(answer))
    }
  }
  const paused = async (): Promise<void> => {
    await Promise.all(talks)
    for (const verify of answers.splice(0)) {
      verify()
      now.done++
    }
    say({ kind: 'paused', done: now.done, lost: now.lost })
    now.done = now.lost = 0
  }
  process.on('message', (word: CoapWord) => {
    now.isGoing = word === 'go'
    switch (word) {
      case 'prepare':
        // The first one is at the end, where it is taken from.
        prepared = talkers.map((talker) => Array.from({ length }, talker).toReversed())
        return say({ kind: 'prepared' })
      case 'go':
        talks = prepared.map(talk)
        return
      case 'pause':
        void paused()
    }
  })
  say({ kind: 'up' })
}

async function talkerOf(
  shown: CoapOrder['devices'][number],
  index: number,
  order: CoapOrder,
): Promise<Talker> {
  const { serverLeaf, number } = order
  if (serverLeaf === undefined) return echoing(index)
  return await introduced(new NarrowDevice(shown, fromHex(serverLeaf), number, index), order)
}

async function introduced(device: NarrowDevice, { port }: CoapOrder): Promise<Talker> {
  const second = await ask(device.start(), port)
  if (second === undefined) throw new Error('no answer to message_1')
  const last = await ask(await device.complete(second), port)
  if (last === undefined) throw new Error('no answer to message_3')
  device.confirm(last)
  return () => device.prepared()
}

function echoing(index: number): Talker {
  const datagram = Buffer.alloc(echoBytes, 1)
  datagram.writeUInt16BE(index, 4)
  const took = (answer: Uint8Array): void => {
    if (answer.length !== datagram.length) throw new Error('that is no echo')
  }
  return () => ({ datagram, took })
}

/** Undefined: lost. */
function ask(datagram: Uint8Array, port: number): Promise<Uint8Array | undefined> {
  const number = Buffer.from(datagram.buffer, datagram.byteOffset, 6).readUInt16BE(4)
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      asked.delete(number)
      resolve(undefined)
    }, lostMs)
    asked.set(number, (answer) => {
      clearTimeout(late)
      resolve(answer)
    })
    socket.send(datagram, port, '127.0.0.1')
  })
}

function say(told: CoapTold): void {
  process.send?.(told)
}
