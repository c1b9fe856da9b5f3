import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { paperTime } from '../../../src/bus/time.ts'
import { openElement } from '../../../src/compose.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from '../../../src/emulators/atecc608/persistence.ts'
import type { SecureElement } from '../../../src/ports.ts'
import { elementCompliance } from '../../elementCompliance.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-atecc608-'))
after(() => rm(folder, { recursive: true }))

for (const framing of ['i2c', 'swi']) {
  const url = `atecc608:emulator:${framing}.json?framing=${framing}&times=none`
  const open = () => openElement(url, { folder })
  elementCompliance(`ATECC608, emulated, ${framing}`, { open, reopen: open, mayLock: true })
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
  mayLock: false,
})
