/**
 * Devices that come back and use each ticket once: how many resume, and at which price. The anchor
 * is nginx, which renews a ticket on every resumption; beside it bare Node, which does not.
 */
import { nginxVersion, startBareNode, startNginx } from './anchors.ts'
import { Arena } from './arena.ts'
import { type Case, type Figure, measure, rateOf } from './measure.ts'
import { cpuSeconds, type Running } from './processes.ts'
import { atLeast, type Report, rateTable } from './report.ts'
import { serveHouse } from './servedHouse.ts'

const devices = 200
const concurrency = 24

const names = {
  ours: '**countersign**: judged and looked up each time',
  nginx: 'nginx',
  node: 'bare Node tls, chain checked',
}

export async function run(): Promise<Report> {
  const arena = await Arena.open(devices)
  try {
    const { house } = arena
    const counts = new Map<string, { resumed: number; returned: number }>()
    const caseOf = (name: string, server: Running, port: number, withIssuer: boolean): Case => ({
      name,
      cpuSeconds: () => cpuSeconds(server.pid),
      run: async (milliseconds) => {
        const load = { milliseconds, concurrency, devices, port, withIssuer }
        const { done, resumed, returned } = await arena.client.load({ mode: 'resume', ...load })
        const until = counts.get(name) ?? { resumed: 0, returned: 0 }
        counts.set(name, {
          resumed: until.resumed + resumed,
          returned: until.returned + returned,
        })
        return done
      },
    })
    const ours = await arena.started(serveHouse(house.dir))
    const cases = [caseOf(names.ours, ours, ours.httpsPort, false)]
    const nginx = await startNginx(house)
    if (!('missing' in nginx)) {
      await arena.started(Promise.resolve(nginx))
      cases.push(caseOf(names.nginx, nginx, nginx.port, true))
    }
    const node = await arena.started(startBareNode(house, { trust: 'root', server: 'tls' }))
    cases.push(caseOf(names.node, node, node.port, true))

    const figures = await measure(cases, { rounds: 3, milliseconds: 4000 })
    const shareOf = (name: string): number => {
      const { resumed, returned } = counts.get(name) ?? { resumed: 0, returned: 0 }
      return (100 * resumed) / returned
    }
    const rate = rateOf(figures, names.ours)
    return {
      tables: [withShares(figures, shareOf)],
      goals: [
        {
          what: 'share of connections that resumed',
          ratio: shareOf(names.ours),
          wanted: 95,
          sense: 'at least',
          unit: ' %',
        },
        ...atLeast('to nginx', rate, rateOf(figures, names.nginx), 1.3),
      ],
      notes: ['missing' in nginx ? nginx.missing : nginxVersion()],
    }
  } finally {
    await arena.close()
  }
}

function withShares(
  figures: readonly Figure[],
  shareOf: (name: string) => number,
): Report['tables'][number] {
  const { columns, rows } = rateTable(figures, 'connections')
  return {
    columns: [...columns, 'resumed'],
    rows: rows.map((cells, at) => [...cells, `${shareOf(figures[at]?.name ?? '').toFixed(1)} %`]),
  }
}
