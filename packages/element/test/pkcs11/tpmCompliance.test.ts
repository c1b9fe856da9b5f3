import { openElement } from '../../src/compose.ts'
import { elementCompliance } from '../elementCompliance.ts'
import { skip, softTpm } from './swtpm.ts'

const url = skip === false ? (await softTpm()).token('compliance').url('device') : ''
const open = () => openElement(url, { folder: '/nowhere' })
const members = ['close', 'generateKey', 'info', 'publicKey', 'random', 'sign', 'slots', 'state']

elementCompliance('a TPM 2.0', { open, reopen: open, members, mayLock: false, rounds: 30 }, skip)
