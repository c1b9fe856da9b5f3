/**
 * Dates of X.509: YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5.1 and .2), in the proleptic
 * Gregorian calendar.
 */
import type { Milliseconds } from '../ports.ts'

/** Milliseconds since 1970, or undefined when the octets are no real date and time. */
export function parseTime(bytes: Uint8Array, start: number, end: number): Milliseconds | undefined {
  const long = end - start === 15
  if ((!long && end - start !== 13) || bytes[end - 1] !== 0x5a) return undefined
  for (let index = start; index < end - 1; index++) {
    const byte = bytes[index] ?? 0
    if (byte < 0x30 || byte > 0x39) return undefined
  }
  const at = (offset: number): number =>
    ((bytes[start + offset] ?? 0) - 0x30) * 10 + (bytes[start + offset + 1] ?? 0) - 0x30
  const rest = long ? 4 : 2
  // RFC 5280 §4.1.2.5.1: 50 and above are 19YY.
  const year = long ? at(0) * 100 + at(2) : at(0) + (at(0) >= 50 ? 1900 : 2000)
  const month = at(rest)
  const day = at(rest + 2)
  const hour = at(rest + 4)
  const minute = at(rest + 6)
  const second = at(rest + 8)
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  // No leap second: X.509 times are compared as numbers, and 60 would equal the next minute.
  if (hour > 23 || minute > 59 || second > 59) return undefined
  return ((daysFromEpoch(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (month === 2) return leap ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/**
 * Days since 1970-01-01. Years begin in March here, so that the leap day is the last of its year.
 */
function daysFromEpoch(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400)
  return shifted * 365 + leapDays + dayOfYear - 719_468
}
