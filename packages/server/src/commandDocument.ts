/**
 * A command as text. The body is what a device receives on every road, `{"id","name","data",
 * "expires"}` and nothing else; the document is what operators and applications see. Data and JSON
 * results are embedded as they were written: parsing and printing them again would change long
 * numbers. Bounds that every road and every door share are here too.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { EventData } from './cloudEvent.ts'
import { parseMediaType, payload } from './payload.ts'
import type { CommandRow } from './ports.ts'

/** One topic segment: a name stands in MQTT topics and CoAP paths as it is. */
export const commandName: RegExp = /^(?!\.{1,2}$)[A-Za-z0-9_.~-]{1,64}$/
export const commandId: RegExp = /^[0-9a-f]{32}$/
/** A command asks for something; firmware and the like travel another way. */
export const commandDataBytesMax = 16_384
/** Like a message: an application receives it in an event. */
export const commandResultBytesMax = 65_536

/** What a device receives: one line. */
export function commandBody({ id, name, data, expiresAt }: CommandRow): string {
  return `{"id":"${id}","name":"${name}","data":${oneLine(data)},"expires":"${rfc3339(expiresAt)}"}`
}

/**
 * What everyone else sees. `result` is the device's answer when its type says JSON or text,
 * `resultBase64` when it says anything else.
 */
export function commandDocument(row: CommandRow): string {
  const { id, device, name, data, state, reason, actor } = row
  const head = `{"id":"${id}","device":${JSON.stringify(device)},"name":"${name}","data":${oneLine(data)}`
  const about = JSON.stringify({
    state,
    reason,
    actor,
    created: rfc3339(row.createdAt),
    expires: rfc3339(row.expiresAt),
    delivered: row.deliveredAt === null ? null : rfc3339(row.deliveredAt),
    ended: row.endedAt === null ? null : rfc3339(row.endedAt),
    resultType: row.resultType,
  })
  return `${head},${about.slice(1, -1)}${resultMembers(row)}}`
}

function resultMembers({ result, resultType }: CommandRow): string {
  const none = ',"result":null,"resultBase64":null'
  if (result === null || resultType === null) return none
  const data = resultData(resultType, result)
  switch (data.kind) {
    case 'json':
      return `,"result":${oneLine(data.text)},"resultBase64":null`
    case 'text':
      return `,"result":${JSON.stringify(data.text)},"resultBase64":null`
    case 'binary':
      return `,"result":null,"resultBase64":"${Buffer.from(data.bytes).toString('base64')}"`
  }
}

/** A road may have taken what its type does not keep: bytes then. */
function resultData(contentType: string, body: Uint8Array): EventData {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  try {
    return payload(parseMediaType(contentType), bytes)
  } catch {
    return { kind: 'binary', contentType, bytes }
  }
}

/** Between tokens a line break is white space; inside strings JSON does not allow one. */
function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ')
}

function rfc3339(time: Milliseconds): string {
  return new Date(time).toISOString()
}
