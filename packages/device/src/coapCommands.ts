/**
 * Commands on the narrow channel: requests of the server, `POST /c/<name>`. The response 2.04 says
 * that the device has a command, when its turn has come and not before; what came of it is a
 * request of the device, `POST /r/<id>` or `/r/<id>/refused`.
 */
import {
  type CoapMessage,
  coapCode,
  contentFormat,
  contentFormatOf,
  contentFormatOption,
  pathOf,
  uriPath,
} from '@countersign/core/coap'
import { fromUtf8, utf8 } from '@countersign/core/codec'
import { AdapterError, PeerError } from '@countersign/core/errors'
import { judgeResponse } from './coapOutcome.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { CommandDesk, CommandOutcome, CommandWay } from './portable/commandDesk.ts'
import type { NarrowRequest, NarrowResponse } from './portable/narrow/index.ts'
import { PushedCommands } from './pushedCommands.ts'
import { Later } from './retry.ts'
import type { Listener } from './world.ts'

/** To the server and back, by whoever has the session. */
export type AskServer = (request: NarrowRequest) => Promise<CoapMessage>

export class CoapCommands extends PushedCommands {
  readonly #desk: CommandDesk
  readonly #listener: Listener
  #ask: AskServer | undefined

  constructor(desk: CommandDesk, listener: Listener) {
    super()
    this.#desk = desk
    this.#listener = listener
  }

  /** What could not be told before is told now. */
  begin(ask: AskServer): void {
    this.#ask = ask
    this.inHand(this.#desk.flush(this.#wayOf(() => false)))
  }

  /** A verified request of the server. */
  async serve(request: CoapMessage): Promise<NarrowResponse> {
    const [first, name, ...more] = pathOf(request)
    if (first !== 'c' || name === undefined || more.length > 0) return plain(coapCode.notFound)
    if (request.code !== coapCode.post) return plain(coapCode.methodNotAllowed)
    let text: string
    try {
      text = fromUtf8(request.payload)
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      return this.#unreadable('a command is no UTF-8')
    }
    return await this.#take(text)
  }

  /** Answered when the desk says that it is delivered; the rest goes on behind. */
  #take(text: string): Promise<NarrowResponse> {
    return new Promise((resolve) => {
      const way = this.#wayOf(() => {
        const isMine = !this.stopped.aborted
        resolve(plain(isMine ? coapCode.changed : coapCode.serviceUnavailable))
        return isMine
      })
      const work = this.#desk.take(text, way).catch((error: unknown) => {
        if (!(error instanceof PeerError) || error.code !== 'ERR_COMMAND_FORMAT') throw error
        resolve(this.#unreadable(error.message))
      })
      this.inHand(
        // What ends it before the desk has spoken: the server gives it again.
        work.finally(() => resolve(plain(coapCode.serviceUnavailable))),
      )
    })
  }

  #unreadable(reason: string): NarrowResponse {
    this.#listener({ event: 'commandUnreadable', reason })
    return plain(coapCode.badRequest, 'ERR_COMMAND_FORMAT')
  }

  #wayOf(acknowledge: () => boolean): CommandWay {
    return {
      delivered: async () => acknowledge(),
      answered: (id, outcome) => this.#answer(id, outcome),
    }
  }

  async #answer(id: string, outcome: CommandOutcome): Promise<string | undefined> {
    // It came to where the device was in its life before; its result is told when the road speaks.
    if (this.#ask === undefined) {
      throw new AdapterError<DeviceErrorCode>('ERR_SERVER_UNREACHABLE', 'nothing was said yet')
    }
    const response = await this.#ask(resultOf(id, outcome))
    const judged = judgeResponse(response, id)
    if (judged.kind === 'taken') return undefined
    if (judged.kind === 'rejected') {
      const { status, code, message } = judged.problem
      // Forgotten, or ended otherwise: nothing more is wanted of this command.
      return status === 404 || code === 'ERR_COMMAND_ENDED' ? undefined : message
    }
    const afterMs = judged.kind === 'later' ? judged.afterMs : undefined
    throw new Later(
      'the server cannot take results now',
      judged.problem,
      afterMs,
      'It is told again.',
    )
  }
}

function resultOf(id: string, outcome: CommandOutcome): NarrowRequest {
  const code = coapCode.post
  if ('refused' in outcome) {
    const options = [...uriPath('r', id, 'refused'), contentFormatOption(contentFormat.text)]
    return { code, options, payload: utf8(outcome.refused) }
  }
  // RFC 7252 §12.3: what has no number is bytes.
  const format = contentFormatOf(outcome.contentType) ?? contentFormat.octets
  return {
    code,
    options: [...uriPath('r', id), contentFormatOption(format)],
    payload: outcome.body,
  }
}

function plain(code: number, diagnostic = ''): NarrowResponse {
  return { code, options: [], payload: utf8(diagnostic) }
}
