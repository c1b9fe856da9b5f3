/** Links of seeded conversations: a good one, a poor one, a bad one. */
import { type LinkPlan, perfectLink, type Seeded } from '@countersign/testbed'

const links: readonly LinkPlan[] = [
  { ...perfectLink, delayMsMin: 10, delayMsMax: 50 },
  {
    loss: 0.1,
    duplication: 0.1,
    corruption: 0.02,
    delayMsMin: 20,
    delayMsMax: 900,
    mtuBytes: 1280,
  },
  {
    loss: 0.3,
    duplication: 0.2,
    corruption: 0.05,
    delayMsMin: 200,
    delayMsMax: 4000,
    mtuBytes: 1280,
  },
]

export function anyLink(random: Seeded): LinkPlan {
  return links[random.below(links.length)] ?? perfectLink
}
