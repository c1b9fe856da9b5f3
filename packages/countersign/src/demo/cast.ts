/** Who plays: devices by serial number, product and topic. */
interface Cast {
  readonly serial: string
  readonly product: string
  readonly topic: string
}

export const cast: readonly Cast[] = [
  { serial: 'TH-0001', product: 'thermostat', topic: 'room/temperature' },
  { serial: 'TH-0002', product: 'thermostat', topic: 'room/temperature' },
  { serial: 'WM-0001', product: 'water-meter', topic: 'meter/litres' },
  { serial: 'PU-0001', product: 'pump', topic: 'pump/pressure' },
]
