/** One Confirmable message under way: sent, sent again, given up (RFC 7252 §4.2). */
import { fromBigEndian } from '../codec/index.ts'
import type { Ground } from './ground.ts'

export interface Confirmable {
  stop(): void
}

/** `givenUp` is called when nobody acknowledged the last of them. */
export function sendConfirmable(
  ground: Ground,
  datagram: Uint8Array,
  to: string,
  givenUp: () => void,
  ackTimeoutMs: number = ground.transmission.ackTimeoutMs,
): Confirmable {
  const { ackRandomFactor, retransmitMax } = ground.transmission
  const share = fromBigEndian(ground.random.bytes(4)) / 0x1_0000_0000
  const firstMs = ackTimeoutMs * (1 + share * (ackRandomFactor - 1))
  const wait = (retransmissions: number): void => {
    timer = ground.timers.after(firstMs * 2 ** retransmissions, () => {
      if (retransmissions === retransmitMax) return givenUp()
      ground.send(datagram, to)
      wait(retransmissions + 1)
    })
  }
  let timer = { cancel: (): void => undefined }
  ground.send(datagram, to)
  wait(0)
  return { stop: () => timer.cancel() }
}
