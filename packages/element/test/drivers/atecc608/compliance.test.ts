import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openElement } from '../../../src/compose.ts'
import { elementCompliance } from '../../elementCompliance.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-atecc608-'))
after(() => rm(folder, { recursive: true }))

for (const framing of ['i2c', 'swi']) {
  const url = `atecc608:emulator:${framing}.json?framing=${framing}&times=none`
  const open = () => openElement(url, { folder })
  elementCompliance(`ATECC608, emulated, ${framing}`, { open, reopen: open, mayLock: true })
}

elementCompliance('ATECC608, emulated, with the times of silicon on paper', {
  open: () => openElement('atecc608:emulator:timed.json?times=none', { folder }),
  reopen: () => openElement('atecc608:emulator:timed.json?times=none', { folder }),
  mayLock: false,
})
