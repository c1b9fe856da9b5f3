/** The way into the page: a link that the process that serves makes and nobody else can. */
import { CallerError } from '@countersign/core/errors'
import type { Services } from '../../compose/services.ts'
import { noParams, type Table } from './operation.ts'

export const consoleOperations: Table<'console.link'> = {
  'console.link': {
    params: noParams,
    run: async (house) => {
      if (house.consoleLink === undefined) throw noPage(house)
      return house.consoleLink()
    },
  },
}

function noPage({ listeners, dir }: Services): CallerError {
  const { console: url } = listeners
  if (url === undefined)
    return new CallerError(
      'ERR_CONSOLE_CLOSED',
      'nobody serves this folder, so that there is no page to open',
      {},
      { where: dir, hint: 'Start "countersign serve" first: it prints a link too.' },
    )
  return new CallerError(
    'ERR_CONSOLE_NOT_LOCAL',
    'the page is open on loopback only, and the console listens beyond it',
    {},
    {
      where: `console on ${url}`,
      hint: 'Let it listen on this machine (--listen console=127.0.0.1:8443); from elsewhere, use a tunnel: ssh -L 8443:localhost:8443.',
    },
  )
}
