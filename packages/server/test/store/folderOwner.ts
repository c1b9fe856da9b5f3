/** Owns the folder that it is given and says so, until it is killed or its parent goes. */
import { openFolder } from '../../src/store/folder.ts'

const folder = await openFolder(process.argv[2] ?? '', { clock: { now: () => Date.now() } })
folder.announce({ control: '/run/socket' })
process.stdout.write('mine\n')
process.stdin.resume()
