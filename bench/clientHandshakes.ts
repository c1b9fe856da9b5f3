/**
 * Handshakes of our TLS client beside Node's own: CPU of this process, which is the client, for TLS
 * 1.3 with a client certificate against one Node server. A handshake counts when the server has
 * closed in answer to the farewell. Round trips and signatures of ours are counted beside it.
 */
import type { GroupName } from '@countersign/core/ports'
import { type Client, nodeClient, ourClient, type OurGiven } from './clients.ts'
import { ticketOf, visit } from './clientWork.ts'
import { startClientPeer } from './clientPeer.ts'
import { type ClientPki, makeClientPki, readDevice } from './clientPki.ts'
import { type Case, forAbout, measure, rateOf } from './measure.ts'
import { type Goal, type Report, rateTable } from './report.ts'

const groups: readonly GroupName[] = ['x25519', 'X25519MLKEM768']

const names = {
  fresh: (group: string) => `**ours**, ${group}, a new judge each time`,
  kept: (group: string) => `**ours**, ${group}, judge kept`,
  node: (group: string) => `Node tls, ${group}`,
  nodeRoot: 'Node tls, x25519, chain up to the root',
  oursResumed: '**ours**, resumed, x25519',
  nodeResumed: 'Node tls, resumed, x25519',
}

export async function run(): Promise<Report> {
  const pki = await makeClientPki()
  const peer = await startClientPeer(pki.folder)
  try {
    return await compare(pki, peer.port)
  } finally {
    await peer.stop()
    await pki.remove()
  }
}

async function compare({ folder }: ClientPki, port: number): Promise<Report> {
  const device = await readDevice(folder)
  const at = (group: GroupName) => ({ port, device, group })
  const x25519 = at('x25519')
  const cases = [
    ...groups.flatMap((group) => [
      full(names.fresh(group), ourClient({ ...at(group), judge: 'fresh' })),
      full(names.kept(group), ourClient(at(group))),
      full(names.node(group), nodeClient(at(group))),
    ]),
    full(names.nodeRoot, nodeClient({ ...x25519, trusted: device.root })),
    resumed(names.oursResumed, ourClient(x25519)),
    resumed(names.nodeResumed, nodeClient(x25519)),
  ]
  const figures = await measure(cases, { rounds: 5, milliseconds: 2000 })
  const cost = (what: string, ours: string, node: string): Goal =>
    goal(
      `CPU to Node: ${what}`,
      (rateOf(figures, node) ?? NaN) / (rateOf(figures, ours) ?? NaN),
      1.5,
    )
  return {
    tables: [rateTable(figures, 'handshakes')],
    goals: [
      ...groups.flatMap((group) => [
        cost(`full, ${group}, a new judge`, names.fresh(group), names.node(group)),
        cost(`full, ${group}, judge kept`, names.kept(group), names.node(group)),
      ]),
      cost('resumed', names.oursResumed, names.nodeResumed),
      ...(await counted(x25519)),
    ],
    notes: [
      'Leaf and issuing CA are shown, the issuing CA is pinned by both clients: one signature of a certificate and one of the handshake to verify, one to make. A judge that is kept knows the leaf and verifies the second alone.',
      'Resumed: one ticket is used again and again, for Node’s servers give none on a resumed connection. Ours judges the server of the ticket each time.',
    ],
  }
}

function full<Session>(name: string, client: Client<Session>): Case {
  return {
    name,
    run: (milliseconds) =>
      forAbout(milliseconds, async () => {
        if (await visit(client)) throw new Error(`${name} resumed`)
      }),
  }
}

function resumed<Session>(name: string, client: Client<Session>): Case {
  let ticket: Session | undefined
  return {
    name,
    async prepare() {
      ticket = await ticketOf(client)
    },
    run: (milliseconds) =>
      forAbout(milliseconds, async () => {
        if (!(await visit(client, ticket))) throw new Error(`${name} did not resume`)
      }),
  }
}

/** Of one handshake of each kind. */
async function counted(options: OurGiven): Promise<readonly Goal[]> {
  let [signatures, flights, isOurTurn] = [0, 0, true]
  const client = ourClient({
    ...options,
    signed: () => signatures++,
    wire(direction) {
      if (direction === 'out' && isOurTurn) flights++
      isOurTurn = direction === 'in'
    },
  })
  const count = async (session?: Parameters<typeof client.open>[1]) => {
    ;[signatures, flights, isOurTurn] = [0, 0, true]
    // What ends the handshake has the farewell behind it, and nothing of it waits for an answer.
    await visit(client, session)
    return { signatures, roundTrips: flights - 1 }
  }
  const ticket = await ticketOf(client)
  const first = await count()
  const second = await count(ticket)
  return [
    goal('round trips of ours, full', first.roundTrips, 1),
    goal('round trips of ours, resumed', second.roundTrips, 1),
    goal('signatures of ours, full', first.signatures, 1),
    goal('signatures of ours, resumed', second.signatures, 0),
  ]
}

function goal(what: string, ratio: number, wanted: number): Goal {
  return { what, ratio, wanted, sense: 'at most' }
}
