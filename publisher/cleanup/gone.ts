import { type Ec2Word, ec2Verdict } from '../fleet/forget.ts';

/** Decides which instances are gone for good, so that what they left behind can be deleted. Pure. */

const HOUR_MS = 3_600_000;
/** How long an instance must have written nothing. A mistake is mended by its agent, which makes its queue again. */
const SILENT_MS = 24 * HOUR_MS;
/** For an agent that writes no heartbeat: it may be well, and have nothing to write. */
const OLD_AGENT_MS = 7 * 24 * HOUR_MS;
/** How long after `leave` what is left is deleted: the agent may be about to come back. */
const LEFT_MS = HOUR_MS;

export interface InstanceFacts {
  answered: boolean;
  heartbeat: number | undefined; // ms since the epoch, by S3's clock
  /** The last write of any of its records, ms since the epoch by S3's clock. */
  record: number | undefined;
  /** Whether it has records, and all of them say that it left. */
  hasLeft: boolean;
  /** When its queue was made, ms since the epoch; undefined when it has none, or that is not known. */
  queueMade: number | undefined;
}

/** Why the instance is gone, and since when nothing was heard of it; undefined while it may live. */
export function whyGone(
  instance: string,
  facts: InstanceFacts,
  word: Ec2Word | undefined,
  { now, isId }: { now: number; isId: (instance: string) => boolean },
): { why: string; lastSeen: number } | undefined {
  if (facts.answered) return undefined;
  const lastSeen = Math.max(facts.heartbeat ?? 0, facts.record ?? 0, facts.queueMade ?? 0);
  // A queue was made by an instance that lived then: EC2 may not know that one yet.
  const verdict = ec2Verdict(instance, { heartbeat: facts.heartbeat, record: lastSeen }, word, { now, isId });
  if (verdict === 'terminated') return { why: 'EC2 says that it is terminated', lastSeen };
  if (verdict === 'unknown') return { why: 'EC2 does not know it', lastSeen };
  if (verdict === 'there' || (word?.states.has(instance) ?? false)) return undefined;
  const ago = now - lastSeen;
  if (facts.hasLeft && ago >= LEFT_MS) return { why: 'it has left', lastSeen };
  if (facts.heartbeat !== undefined && ago >= SILENT_MS) return { why: 'it was silent for a day', lastSeen };
  if (facts.heartbeat === undefined && ago >= OLD_AGENT_MS)
    return { why: 'it was silent for a week, and writes no heartbeat', lastSeen };
  return undefined;
}
