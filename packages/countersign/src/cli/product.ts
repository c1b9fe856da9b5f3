/** `countersign product …`: the policy of a kind of device. */
import { CallerError } from '@countersign/core/errors'
import { type ProductDocument, type ProductParams, roads } from '@countersign/server/control'
import type { Command } from 'commander'
import { addCommand, type Line, type OptionSpec } from './command.ts'
import { ask } from './house.ts'
import { record, type Terminal, table } from './terminal.ts'

const credentials = ['factory', 'owner', 'either'] as const

const policy: readonly OptionSpec[] = [
  {
    flags: '--credential <which>',
    text: "whose certificate a road accepts: the maker's, the owner's, or either",
    choices: credentials,
  },
  {
    flags: '--road <road>',
    text: 'a road it may use (repeat for more)',
    choices: roads,
    many: true,
  },
  { flags: '--assurance-min <0-4>', text: 'least assurance that is let in' },
  {
    flags: '--edhoc-suite-min <2|3>',
    text: 'least cipher suite of EDHOC that is let in on coap; 3 has the longer tags',
  },
  { flags: '--validity-days <n>', text: 'life of an owner certificate' },
  { flags: '--renewal-days <n>', text: 'days before its end from which it is renewed' },
  { flags: '--overlap-days <n>', text: 'days a superseded certificate is still taken' },
  { flags: '--serial-pattern <pattern>', text: 'serial numbers: * any run, ? one character' },
  { flags: '--eui-first <eui64>', text: 'first EUI-64 of its block' },
  { flags: '--eui-last <eui64>', text: 'last EUI-64 of its block' },
  { flags: '--messages-per-minute <n>', text: 'rate limit of one device' },
]

export function addProduct(program: Command, terminal: Terminal): void {
  const product = program.command('product').description('Kinds of devices and their policy.')
  addCommand(product, terminal, {
    usage: 'add <name>',
    summary: 'Add a product; what is not said is as "default" was when the house was made.',
    example: 'product add thermometer --validity-days 365 --serial-pattern "TH-*"',
    folder: true,
    options: policy,
    run: async (line) => say(line, await ask(line, 'product.add', paramsOf(line))),
  })
  addCommand(product, terminal, {
    usage: 'set <name>',
    summary: 'Change the policy of a product; live connections are judged again at once.',
    example: 'product set thermometer --road https --assurance-min 1',
    folder: true,
    options: policy,
    run: set,
  })
  addCommand(product, terminal, {
    usage: 'list',
    summary: 'List the products.',
    example: 'product list',
    folder: true,
    run: list,
  })
}

async function set(line: Line): Promise<void> {
  const { name, ...changes } = paramsOf(line)
  if (Object.values(changes).every((value) => value === undefined)) {
    throw new CallerError(
      'ERR_USAGE',
      'nothing was said that could change',
      {},
      { where: name, hint: 'Give an option, such as --assurance-min 1; --help lists them.' },
    )
  }
  say(line, await ask(line, 'product.set', { name, ...changes }))
}

function paramsOf(line: Line): ProductParams {
  const days = { min: 1, max: 36_500 }
  const chosen = line.choices('road', roads)
  return {
    name: line.argument(0),
    credential: line.choice('credential', credentials),
    roads: chosen.length === 0 ? undefined : chosen,
    assuranceMin: line.assurance('assuranceMin'),
    edhocSuiteMin: line.edhocSuite('edhocSuiteMin'),
    validityDays: line.whole('validityDays', days),
    renewalDays: line.whole('renewalDays', days),
    overlapDays: line.whole('overlapDays', { min: 0, max: 3650 }),
    serialPattern: line.optional('serialPattern'),
    euiFirst: line.optional('euiFirst'),
    euiLast: line.optional('euiLast'),
    messagesPerMinute: line.whole('messagesPerMinute', { min: 1, max: 1_000_000 }),
  }
}

function say(line: Line, product: ProductDocument): void {
  line.terminal.data(product, () =>
    record(
      Object.entries(product).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(' ') : value,
      ]),
    ),
  )
}

async function list(line: Line): Promise<void> {
  const rows = await ask(line, 'product.list', {})
  line.terminal.data(rows, () =>
    table(
      ['name', 'credential', 'assurance', 'validity', 'serials', 'block', 'roads'],
      rows.map((row) => [
        row.name,
        row.credential,
        `≥ ${row.assuranceMin}`,
        `${row.validityDays} d`,
        row.serialPattern,
        `${row.euiFirst}-${row.euiLast}`,
        row.roads.join(' '),
      ]),
    ),
  )
}
