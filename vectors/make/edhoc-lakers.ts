/**
 * Writes vectors/edhoc-lakers.json: handshakes between lakers and our side, whose keys are fixed.
 * What lakers drew is its own, so each run writes another file.
 *
 *   npm run peers && node vectors/make/edhoc-lakers.ts > vectors/edhoc-lakers.json
 */
import { fixedKeys } from '../../packages/core/test/edhoc/peers/claims.ts'
import {
  ForeignSide,
  recorded,
  type Step,
  started,
} from '../../packages/core/test/edhoc/peers/foreignSide.ts'
import { scenes } from '../../packages/core/test/edhoc/peers/lakersScenes.ts'

let source = ''
const conversations: { name: string; steps: Step[] }[] = []
for (const { name, run } of scenes) {
  const program = started('lakersPeer.py')
  source = `lakers-python ${await new ForeignSide(program).version()}`
  const steps: Step[] = []
  await run(new ForeignSide(recorded(program, steps)), fixedKeys(name))
  program.close()
  conversations.push({ name, steps })
}
process.stdout.write(`${JSON.stringify({ source, conversations }, null, 1)}\n`)
