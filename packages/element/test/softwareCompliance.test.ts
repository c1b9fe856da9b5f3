import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openSoftwareElement } from '../src/software.ts'
import { elementCompliance } from './elementCompliance.ts'
import { scalarInTwin } from './privateScalar.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-twin-'))
after(() => rm(folder, { recursive: true }))
const file = join(folder, 'element.json')
const open = () => openSoftwareElement(file)
const members = (
  'close counters data ecdh ephemeral generateKey info ' +
  'lock lockDigest publicKey random sign slots state tlsContext'
).split(' ')

elementCompliance('software twin', {
  open,
  reopen: open,
  members,
  scalarOf: (point) => scalarInTwin(file, point),
  mayLock: true,
  rounds: 300,
})
