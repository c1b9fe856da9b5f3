import { openElement } from '../../src/compose.ts'
import { elementCompliance } from '../elementCompliance.ts'
import { skip, softTokens } from './softhsm.ts'

const make = softTokens()
const url = skip === false ? make('compliance').url('device') : ''
const open = () => openElement(url, { folder: '/nowhere' })

elementCompliance('SoftHSM', { open, reopen: open, mayLock: false, rounds: 300 }, skip)
