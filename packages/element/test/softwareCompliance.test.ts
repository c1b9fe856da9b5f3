import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openSoftwareElement } from '../src/software.ts'
import { elementCompliance } from './elementCompliance.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-twin-'))
after(() => rm(folder, { recursive: true }))
const open = () => openSoftwareElement(join(folder, 'element.json'))

elementCompliance('software twin', { open, reopen: open, mayLock: true, rounds: 300 })
