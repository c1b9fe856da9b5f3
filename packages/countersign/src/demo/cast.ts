/** Who plays: devices by serial number, product, road and topic. */
export type DemoRoad = 'https' | 'mqtts' | 'coap'
export const demoRoads: readonly DemoRoad[] = ['https', 'mqtts', 'coap']

interface Cast {
  readonly serial: string
  readonly product: string
  readonly road: DemoRoad
  readonly topic: string
  /** What its chip hangs on; I2C when nothing is said. */
  readonly wire?: 'i2c' | 'swi'
  /** What happens to it when all have sent. */
  readonly fate?: 'suspended' | 'revoked'
  /** It takes commands; one on each road does. */
  readonly isCommanded?: boolean
}

export const room = { product: 'thermostat', road: 'https', topic: 'room/temperature' } as const

const field = { product: 'moisture-sensor', road: 'coap', topic: 'field/moisture' } as const

export const cast: readonly Cast[] = [
  { serial: 'TH-0001', ...room, isCommanded: true },
  { serial: 'TH-0002', ...room, fate: 'revoked' },
  {
    serial: 'WM-0001',
    product: 'water-meter',
    road: 'mqtts',
    topic: 'meter/litres',
    wire: 'swi',
    fate: 'suspended',
    isCommanded: true,
  },
  { serial: 'PU-0001', product: 'pump', road: 'mqtts', topic: 'pump/pressure', fate: 'revoked' },
  { serial: 'MS-0001', ...field, fate: 'suspended', isCommanded: true },
  { serial: 'MS-0002', ...field, fate: 'revoked' },
]
