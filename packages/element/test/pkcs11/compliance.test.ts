import { openElement } from '../../src/compose.ts'
import { elementCompliance } from '../elementCompliance.ts'
import { skip, softTokens } from './softhsm.ts'

const make = softTokens()
const url = skip === false ? make('compliance').url('device') : ''
const open = () => openElement(url, { folder: '/nowhere' })
const members = [
  'close',
  'ecdh',
  'generateKey',
  'info',
  'publicKey',
  'random',
  'sign',
  'slots',
  'state',
]

elementCompliance('SoftHSM', { open, reopen: open, members, mayLock: false, rounds: 300 }, skip)
