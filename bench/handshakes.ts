/**
 * Full mutual TLS 1.3 handshakes per CPU-second of the server: many devices come, are judged,
 * looked up and admitted, and leave. Ours pins the issuing CA and is sent the leaf alone; nginx
 * checks the chain that it is sent and knows no devices.
 */
import { nginxVersion, startBareNode, startNginx } from './anchors.ts'
import { Arena } from './arena.ts'
import type { Target } from './load.ts'
import { type Case, measure, rateOf } from './measure.ts'
import { cpuSeconds, type Running } from './processes.ts'
import { atLeast, type Report, rateTable } from './report.ts'
import { serveHouse } from './servedHouse.ts'

const devices = 200
const concurrency = 24

const names = {
  ours: '**countersign**: leaf alone, judged, looked up, admitted',
  nginx: 'nginx: leaf and issuing CA, chain checked',
  node: 'bare Node tls: leaf and issuing CA, chain checked',
  nodeLeaf: 'bare Node tls: leaf alone, issuing CA pinned',
}

export async function run(): Promise<Report> {
  const arena = await Arena.open(devices)
  try {
    const { house } = arena
    const caseOf = (name: string, server: Running, target: Target): Case => ({
      name,
      cpuSeconds: () => cpuSeconds(server.pid),
      run: async (milliseconds) => {
        const order = { mode: 'full', milliseconds, concurrency, devices, ...target } as const
        return (await arena.client.load(order)).done
      },
    })
    const ours = await arena.started(serveHouse(house.dir))
    const cases = [caseOf(names.ours, ours, { port: ours.httpsPort, withIssuer: false })]
    const nginx = await startNginx(house)
    if (!('missing' in nginx)) {
      await arena.started(Promise.resolve(nginx))
      cases.push(caseOf(names.nginx, nginx, { port: nginx.port, withIssuer: true }))
    }
    const node = await arena.started(startBareNode(house, { trust: 'root', server: 'tls' }))
    cases.push(caseOf(names.node, node, { port: node.port, withIssuer: true }))
    const nodeLeaf = await arena.started(
      startBareNode(house, { trust: 'issuingCa', server: 'tls' }),
    )
    cases.push(caseOf(names.nodeLeaf, nodeLeaf, { port: nodeLeaf.port, withIssuer: false }))

    const figures = await measure(cases, { rounds: 3, milliseconds: 4000 })
    await arena.requireAdmitted(devices)
    const rate = rateOf(figures, names.ours) ?? 0
    const pinned = (rate / (rateOf(figures, names.nodeLeaf) ?? NaN)).toFixed(2)
    return {
      tables: [rateTable(figures, 'handshakes')],
      goals: [
        ...atLeast('to nginx', rate, rateOf(figures, names.nginx), 1.5),
        ...atLeast('to bare Node, chain checked', rate, rateOf(figures, names.node), 0.9),
      ],
      notes: [
        `Most of it is the shorter chain: to a bare Node that pins the issuing CA too it is ${pinned}.`,
        'missing' in nginx ? nginx.missing : nginxVersion(),
      ],
    }
  } finally {
    await arena.close()
  }
}
