/**
 * Keeps the judge's anchors equal to the registry's, and makes sure that those who hold sessions
 * hear of a change only after the judge has it: judged again by the old anchors, a session that
 * must end would be kept.
 */
import { type Anchor, type Judge, parseCertificate } from '@countersign/core/credential'
import type { Log, Notice, Notices, PeerAnchorRow } from '../ports.ts'
import { factsOf } from './facts.ts'

export interface AnchorKeeperParts {
  readonly judge: Judge
  readonly notices: Notices
  readonly list: () => Promise<readonly PeerAnchorRow[]>
  /** Where the doors listen. */
  readonly doorNotices: Notices
  readonly log: Log
}

/** Returns the way out. */
export function keepAnchors(parts: AnchorKeeperParts): () => void {
  return parts.notices.listen((notice) => {
    if (notice.kind === 'anchors') void renew(parts, notice)
    else parts.doorNotices.tell(notice)
  })
}

async function renew(parts: AnchorKeeperParts, notice: Notice): Promise<void> {
  try {
    parts.judge.setAnchors((await parts.list()).map(anchorOf))
  } catch (error) {
    // Whom we may believe is not known: nobody, until it is.
    parts.judge.setAnchors([])
    parts.log.error(
      factsOf(error),
      'the anchors could not be read: every device is refused until serve is started again',
    )
  }
  parts.doorNotices.tell(notice)
}

export function anchorOf(row: PeerAnchorRow): Anchor {
  const { role, origin, product, serialPattern, notAfter, assuranceCap } = row
  return {
    role,
    certificate: parseCertificate(row.der),
    origin,
    scope: {
      assuranceCap,
      ...(product === null ? {} : { product }),
      ...(serialPattern === null ? {} : { serialPattern }),
      ...(notAfter === null ? {} : { notAfter }),
    },
  }
}
