/** A line of commands that notes each packet and has its answers ready. */
import assert from 'node:assert/strict'
import { type Command, encodeCommand } from '../../../src/drivers/atecc608/packet.ts'
import type { CommandLine } from '../../../src/drivers/atecc608/session.ts'
import { readAnswer } from '../../../src/drivers/atecc608/status.ts'
import { bytes, hexOf } from './scripted.ts'

/** `count` times the same bytes, in hex. */
export function r(text: string, count: number): string {
  return text.repeat(count)
}

export function of(text: string, count: number): Uint8Array {
  return bytes(r(text, count))
}

export class Recorder implements CommandLine {
  readonly packets: string[] = []
  readonly #answers: string[]

  /** What is inside each answer, in hex. */
  constructor(...answers: readonly string[]) {
    this.#answers = [...answers]
  }

  async run(command: Command): Promise<Uint8Array> {
    this.packets.push(hexOf(encodeCommand(command)))
    return readAnswer(command, bytes(this.#answers.shift() ?? ''))
  }

  sent(...packets: readonly string[]): void {
    assert.deepEqual(
      this.packets,
      packets.map((packet) => hexOf(bytes(packet))),
    )
  }
}
