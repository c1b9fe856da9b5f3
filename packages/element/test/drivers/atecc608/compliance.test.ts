import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { paperTime } from '../../../src/bus/time.ts'
import { openElement } from '../../../src/compose.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from '../../../src/emulators/atecc608/persistence.ts'
import { openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { setUp } from '../../../src/drivers/atecc608/setup.ts'
import { lockWords, type SecureElement } from '../../../src/ports.ts'
import { elementCompliance, type ElementUnderTest } from '../../elementCompliance.ts'
import { scalarInChip } from '../../privateScalar.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-atecc608-'))
after(() => rm(folder, { recursive: true }))

const members = (
  'attest close counters data ecdh ephemeral generateKey info ' +
  'lock lockDigest publicKey random sign slots state'
).split(' ')

/** Of the part in this file. */
function keptIn(name: string): Pick<ElementUnderTest, 'members' | 'scalarOf'> {
  return { members, scalarOf: (point) => scalarInChip(join(folder, name), point) }
}

for (const framing of ['i2c', 'swi']) {
  const url = `atecc608:emulator:${framing}.json?framing=${framing}&times=none`
  const open = () => openElement(url, { folder })
  elementCompliance(`ATECC608, emulated, ${framing}`, {
    open,
    reopen: open,
    ...keptIn(`${framing}.json`),
    mayLock: true,
  })
}

/** Every command takes as long as silicon takes at most, on a clock that nobody waits for. */
function openTimed(): Promise<SecureElement> {
  const time = paperTime()
  const opened = openEmulatedPart(join(folder, 'i2c.json'), { time, flush: false })
  return openAtecc608(
    i2cWire(emulatedI2c([opened.part], { onClose: () => opened.close() }), time),
    time,
  )
}

elementCompliance('ATECC608, emulated, with the times of silicon', {
  open: openTimed,
  reopen: openTimed,
  ...keptIn('i2c.json'),
  mayLock: false,
})

/**
 * Revisions 2 (608A) and 3 (608B) have one set of commands: what is written publicly of their
 * difference are execution times, which the driver polls.
 */
async function openRevision(revision: 2 | 3): Promise<SecureElement> {
  const time = paperTime()
  const serial = Uint8Array.of(0x01, 0x23, revision, 2, 3, 4, 5, 6, 0xee)
  const file = join(folder, `revision-${revision}.json`)
  const opened = openEmulatedPart(file, { time, blank: { serial, revision }, flush: false })
  const bus = emulatedI2c([opened.part], { onClose: () => opened.close() })
  if (opened.isNew) await setUp(await openChipSession(i2cWire(bus, time), time), everything)
  return openAtecc608(i2cWire(bus, time), time)
}

const everything = { confirm: lockWords } as const

for (const [revision, model] of [
  [2, 'ATECC608A'],
  [3, 'ATECC608B'],
] as const) {
  const open = (): Promise<SecureElement> => openRevision(revision)
  elementCompliance(`${model}, emulated`, {
    open,
    reopen: open,
    ...keptIn(`revision-${revision}.json`),
    mayLock: true,
  })

  test(`a part of revision ${revision} is an ${model}`, async () => {
    const element = await open()
    const info = await element.info()
    await element.close()
    assert.deepEqual([info.model, info.revision], [model, `0000600${revision}`])
  })
}

/** As a factory configures it: an identity key that stays, one that attests, three to be replaced. */
function openTrustPart(): Promise<SecureElement> {
  const time = paperTime()
  const file = join(folder, 'trust.json')
  const { part, close } = openEmulatedPart(file, { time, isTrustPart: true, flush: false })
  const bus = emulatedI2c([part], { onClose: close })
  return openAtecc608(i2cWire(bus, time, part.wiring.address), time)
}

elementCompliance('ATECC608, emulated, configured by its factory', {
  open: openTrustPart,
  reopen: openTrustPart,
  ...keptIn('trust.json'),
  mayLock: true,
})
