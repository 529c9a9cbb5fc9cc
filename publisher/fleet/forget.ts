import { type Size, sizeOf } from '../plan/waves.ts';
import type { Forgotten } from '../record/deployment-schema.ts';

/** Decides which instances a deployment does not wait for: those that are gone. Pure. */

/** How long the last write must be ago before an instance that EC2 does not know is believed to be gone, ms. */
const UNKNOWN_AFTER_MS = 30 * 60_000;

/** When an instance last wrote into the record, ms since the epoch by S3's clock. */
export interface LastWrites {
  /** Its heartbeat; undefined for an agent that writes none: of that one, silence proves nothing. */
  heartbeat: number | undefined;
  /** Its record of the service; undefined when there is none. */
  record: number | undefined;
}

/** What EC2 says, where the config allows to ask it. */
export interface Ec2Word {
  /** The states by instance; those that EC2 does not know are missing. */
  states: ReadonlyMap<string, string>;
  /** Whether EC2 knows an instance that has answered: else this account or region is not that of the fleet. */
  knowsFleet: boolean;
}

export interface ForgetRules {
  now: number; // ms since the epoch
  /** How long an instance must have been silent; Infinity: never. */
  forgetAfterMs: number;
  /** The most instances that silence alone may remove from a deployment; one is always allowed. */
  forgetAtMost: Size;
  /** The instances that have answered: they are not silent, though EC2 may call one of them gone. */
  answered: ReadonlySet<string>;
}

/** EC2's word on one instance: gone, or there; undefined when it says nothing that counts. */
export function ec2Verdict(
  instance: string,
  writes: LastWrites | undefined,
  word: Ec2Word | undefined,
  { now, isId }: { now: number; isId: (instance: string) => boolean },
): 'terminated' | 'unknown' | 'there' | undefined {
  if (word === undefined || !isId(instance)) return undefined;
  const state = word.states.get(instance);
  if (state === 'terminated' || state === 'shutting-down') return 'terminated';
  if (state === 'running' || state === 'pending') return 'there';
  // One that was just started may not be known yet, and one of another account never is.
  const last = Math.max(writes?.heartbeat ?? 0, writes?.record ?? 0);
  const isKnown = state !== undefined || !word.knowsFleet || now - last < UNKNOWN_AFTER_MS;
  return isKnown ? undefined : 'unknown';
}

/** Why an instance counts as silent, without EC2's word: since when; undefined when it does not. */
export function silentSince(
  writes: LastWrites | undefined,
  { now, afterMs }: { now: number; afterMs: number },
): number | undefined {
  if (writes?.heartbeat === undefined) return undefined;
  const last = Math.max(writes.heartbeat, writes.record ?? 0);
  return now - last >= afterMs ? last : undefined;
}

/**
 * Which of `silent`, the instances that did not answer or have not ended, are gone. EC2's word comes first, and it counts for both: an
 * instance that runs is waited for. Silence alone removes no more than `forgetAtMost` of the instances that are left, and
 * none where nobody has answered: half of a fleet that is cut off is not gone. If more are silent, all are waited for.
 */
export function forgottenOf(
  silent: readonly string[],
  facts: {
    writes: ReadonlyMap<string, LastWrites>;
    ec2: Ec2Word | undefined;
    isEc2Id: (instance: string) => boolean;
  },
  rules: ForgetRules,
): { forgotten: Forgotten[]; tooMany: string[] } {
  const { now, forgetAfterMs, forgetAtMost, answered } = rules;
  const gone: Forgotten[] = [];
  const quiet: Forgotten[] = [];
  for (const instance of silent) {
    const writes = facts.writes.get(instance);
    const verdict = ec2Verdict(instance, writes, facts.ec2, { now, isId: facts.isEc2Id });
    const since = silentSince(writes, { now, afterMs: forgetAfterMs });
    const last = Math.max(writes?.heartbeat ?? 0, writes?.record ?? 0);
    const lastSeen = last > 0 ? { lastSeen: new Date(last).toISOString() } : {};
    if (verdict === 'terminated' || verdict === 'unknown') gone.push({ instance, why: verdict, ...lastSeen });
    else if (verdict === undefined && since !== undefined && !answered.has(instance))
      quiet.push({ instance, why: 'silent', ...lastSeen });
  }
  const left = new Set([...answered, ...silent]).size - gone.length;
  const isBounded = answered.size > 0 && quiet.length <= sizeOf(forgetAtMost, left);
  return {
    forgotten: [...gone, ...(isBounded ? quiet : [])],
    tooMany: isBounded ? [] : quiet.map(({ instance }) => instance),
  };
}
