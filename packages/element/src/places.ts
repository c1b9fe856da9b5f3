/**
 * Where on this machine an element could be: I2C buses, UARTs, PKCS#11 modules. Looks at names only
 * and opens nothing.
 */
import { readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'

export interface Place {
  /** To begin an element URL with. */
  readonly url: string
  readonly what: string
  readonly note: string
}

/** Modules where distributions put them; a name that ends in a slash is a folder per architecture. */
const modules: readonly (readonly [file: string, what: string])[] = [
  ['softhsm/libsofthsm2.so', 'SoftHSM: keys in software, for a desk'],
  ['opensc-pkcs11.so', 'OpenSC: smart cards'],
  ['pkcs11/opensc-pkcs11.so', 'OpenSC: smart cards'],
  ['libtpm2_pkcs11.so.1', 'tpm2-pkcs11: a TPM 2.0'],
  ['pkcs11/libtpm2_pkcs11.so', 'tpm2-pkcs11: a TPM 2.0'],
  ['libckteec.so.0', 'OP-TEE: keys in TrustZone'],
]

export async function findPlaces(root = '/'): Promise<readonly Place[]> {
  const devices = await namesIn(join(root, 'dev'))
  const buses = devices
    .filter((name) => /^i2c-\d+$/.test(name))
    .map((name) => ({
      url: `atecc608:/dev/${name}?address=0x60`,
      what: 'I2C bus',
      note: 'a chip may be at another address',
    }))
  const lines = devices
    .filter((name) => /^(?:ttyS|ttyAMA|ttyUSB|serial)\d+$/.test(name))
    .map((name) => ({ url: `atecc608:swi:/dev/${name}`, what: 'UART', note: 'for a single wire' }))
  return [...buses, ...lines, ...(await findModules(root))]
}

async function findModules(root: string): Promise<readonly Place[]> {
  const found: Place[] = []
  /** One module often has several names. */
  const seen = new Set<string>()
  const folders = [
    '/usr/lib',
    '/usr/lib64',
    '/usr/local/lib',
    ...(await namesIn(join(root, '/usr/lib')))
      .filter((name) => name.includes('-linux-gnu'))
      .map((name) => `/usr/lib/${name}`),
  ]
  for (const folder of folders) {
    for (const [file, what] of modules) {
      const path = `${folder}/${file}`
      const real = await realpath(join(root, path)).catch(() => undefined)
      if (real === undefined || seen.has(real)) continue
      seen.add(real)
      found.push({
        url: `pkcs11:token=NAME;object=KEY?module-path=${path}`,
        what: 'PKCS#11 module',
        note: what,
      })
    }
  }
  return found
}

async function namesIn(folder: string): Promise<readonly string[]> {
  // A folder that is not there, or not ours to read, has no names for us.
  const names: readonly string[] = await readdir(folder).catch(() => [])
  return names.toSorted()
}
