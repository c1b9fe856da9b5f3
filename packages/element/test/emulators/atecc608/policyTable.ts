/**
 * Policy tables: a row for each command in its modes (policyUses.ts), a column for each thing that
 * can be changed about the part (policyStates.ts), and in each cell what becomes of the command:
 *
 *   X  refused, status 0F, nothing written     P  refused, status 03, nothing written
 *   M  "does not fit", status 01               N  Info says that there is no key
 *   C  done, and counted as one use            A  done, with another answer or effect
 *   O  done: it reads this, and is content
 *   .  not read: the column says why           -  not read: it names no slot
 *
 * and any other sign: not read, for the reason that the table gives to the sign. Whatever the sign,
 * the command is run: where it does not read the change, the answer is the same to the byte.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { Chip } from '../../../src/emulators/atecc608/chip.ts'
import { ask, chipOn, memory } from './packets.ts'
import { isOk } from './policyRows.ts'
import type { State } from './policyStates.ts'
import { type Use, uses } from './policyUses.ts'

export interface Table {
  readonly states: readonly State[]
  /** Further signs: why the command does not read what the column changes. */
  readonly reasons: Readonly<Record<string, string>>
  /** A sign for each column; blanks are for the eye. */
  readonly rows: Readonly<Record<string, string>>
}

const refusals: Readonly<Record<string, string>> = { X: '0f', P: '03', M: '01', N: '00000000' }
const signs = 'XPMNCAO.-'

export function testTable(name: string, table: Table): void {
  test(`${name}: every cell has an answer or a reason`, () => checkFilled(table))
  test(`${name}: every cell is what the part does`, () => {
    for (const use of uses) checkRow(use, table)
  })
}

function checkFilled({ states, reasons, rows }: Table): void {
  assert.deepEqual(
    Object.keys(rows),
    uses.map(({ what }) => what),
  )
  const unused = new Set(Object.keys(reasons))
  for (const { what, slot } of uses) {
    const cells = cellsOf(rows, what)
    assert.equal(cells.length, states.length, what)
    for (const [column, sign] of cells.entries()) {
      unused.delete(sign)
      const where = `${what}: ${states[column]?.name}`
      assert.ok(signs.includes(sign) || reasons[sign] !== undefined, `${where}: ${sign}?`)
      assert.ok(sign !== '-' || slot === undefined, `${where}: it names a slot`)
    }
  }
  assert.deepEqual([...unused], [], 'reasons that no cell has')
}

function cellsOf(rows: Table['rows'], what: string): readonly string[] {
  return (rows[what] ?? '').replaceAll(' ', '').split('')
}

function checkRow(use: Use, { states, rows }: Table): void {
  const plain = new Map<string, Outcome>()
  for (const [column, sign] of cellsOf(rows, use.what).entries()) {
    const state = states[column]
    assert.ok(state !== undefined)
    const kind = `${state.ofHost} ${state.before?.length}`
    const unchanged = plain.get(kind) ?? runPlain(use, state)
    plain.set(kind, unchanged)
    checkCell(`${use.what}: ${state.name}`, sign, run(use, state), unchanged, use)
  }
}

interface Outcome {
  readonly answer: string
  /** Counter0 in four bytes, which LimitedUse counts with. */
  readonly counted: string
  /** What was written into slots and the one-time zone. */
  readonly written: readonly string[]
}

function checkCell(
  where: string,
  sign: string,
  outcome: Outcome,
  unchanged: Outcome,
  { counts }: Use,
): void {
  const answer = refusals[sign]
  if (sign === 'A') {
    assert.ok(isOk(outcome.answer), where)
    assert.notDeepEqual(outcome, unchanged, where)
    assert.equal(outcome.counted, counter(0), where)
  } else if (answer !== undefined) {
    const counted = counter(sign === 'M' ? counts : 0)
    assert.deepEqual(outcome, { answer, counted, written: [] }, where)
  } else {
    const counted = sign === 'C' ? counter(1) : unchanged.counted
    assert.deepEqual(outcome, { ...unchanged, counted }, where)
  }
}

function runPlain(use: Use, state: State): Outcome {
  const outcome = run(use, { ...state, put: () => undefined })
  const { answer, counted } = outcome
  assert.equal(counted, counter(use.counts), use.what)
  // What is done before may show in what Info says.
  if (state.before !== undefined) return outcome
  assert.equal(use.answer === 'ok' && isOk(answer) ? 'ok' : answer, use.answer, use.what)
  return outcome
}

function counter(value: number): string {
  return `0${value}000000`
}

/** On a part that is locked until the command has what it needs. */
function run(use: Use, { before = [], ofHost = false, put }: State): Outcome {
  const eeprom = memory({ ...use.setup, locks: 'both' })
  const chip = chipOn(eeprom)
  const act = (ofHost ? use.host : undefined) ?? use
  for (const step of [...before, ...act.before]) {
    assert.ok(isOk(ask(chip, step)), `${use.what}: ${step}`)
  }
  const { locks = 'both' } = use.setup
  if (locks !== 'both') eeprom.write('config', 86, Uint8Array.of(0x55, locks === 'none' ? 0x55 : 0))
  put(eeprom, use)
  const written: string[] = []
  eeprom.onWrite = (region, offset, bytes) => {
    if (region !== 'config') written.push(`${region} ${offset} ${hex(bytes)}`)
  }
  const { writeCount } = eeprom
  const first = ask(chip, act.command)
  if (!isOk(first)) assert.equal(eeprom.writeCount, writeCount, use.what)
  const answer = isOk(first) ? answerOf(chip, first, use.probes) : first
  // Counter itself wants a locked configuration.
  eeprom.write('config', 87, Uint8Array.of(0))
  return { answer, counted: ask(chip, '24 00 0000'), written }
}

function answerOf(chip: Chip, first: string, probes: readonly string[] = []): string {
  return probes.reduce((_, probe) => ask(chip, probe), first)
}
