import * as z from 'zod';
import type { InstanceNotice } from '../../shared/report.ts';

/**
 * What the instance metadata says about the life of this instance, and what it means. Pure. Nothing of it reaches a
 * command line or a path: an agent acts on the few words and times that are named here.
 */

/** The texts of the instance metadata; undefined where there is none. */
export interface Readings {
  /** `spot/instance-action`: EC2 User Guide, "Spot Instance interruption notices". */
  spot: string | undefined;
  /** `events/recommendations/rebalance`: EC2 User Guide, "EC2 instance rebalance recommendations". */
  rebalance: string | undefined;
  /** `autoscaling/target-lifecycle-state`: Auto Scaling User Guide, "Retrieve the target lifecycle state …". */
  target: string | undefined;
}

/** Every target lifecycle state of that guide. */
const TARGETS = [
  'InService',
  'Standby',
  'Detached',
  'Terminated',
  'Warmed:Running',
  'Warmed:Stopped',
  'Warmed:Hibernated',
  'Warmed:Terminated',
] as const;
export type Target = (typeof TARGETS)[number];

const KINDS = ['spot-terminate', 'spot-stop', 'spot-hibernate', 'scale-in', 'warm-pool'] as const;

/** The end of the instance, as it was announced. Times in ms since the epoch. */
export const notice = z.object({
  kind: z.enum(KINDS),
  /** Whether the instance does not come back: it is terminated. */
  final: z.boolean(),
  /** Whether its Auto Scaling group waits for it, if the group has a hook. */
  hook: z.boolean(),
  since: z.number(),
  /** When it happens; undefined where nobody says. */
  at: z.number().optional(),
  /** Until when the agent wants to be done. */
  deadline: z.number(),
});
export type Notice = z.infer<typeof notice>;

/** What was read, as far as it is known: other texts are named in `unknown`. */
export interface Seen {
  spot: { action: 'terminate' | 'stop' | 'hibernate'; at: number } | undefined;
  rebalance: { since: number } | undefined;
  target: Target | undefined;
  unknown: string[];
  /** Whether one of these may announce an end: `spot` or `target` is not understood. */
  isDoubtful: boolean;
}

/** In UTC, the year has four digits: readers of the record refuse others. */
const FOUR_DIGITS = { from: Date.UTC(1970, 0), to: Date.UTC(9999, 0) };
const time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .refine((at) => at >= FOUR_DIGITS.from && at < FOUR_DIGITS.to);
const spotAction = z.object({ action: z.enum(['terminate', 'stop', 'hibernate']), time });
const rebalance = z.object({ noticeTime: time });
/** How much of an unknown text is named, characters. */
const SHOWN = 100;
/** The agent wants to be done this long before the instance ends, ms. */
const MARGIN = 5000;

export function understand(readings: Readings): Seen {
  const unknown: string[] = [];
  const parsed = <T>(what: string, text: string | undefined, schema: z.ZodType<T>): T | undefined => {
    if (text === undefined) return undefined;
    const result = schema.safeParse(jsonOf(text));
    if (result.success) return result.data;
    unknown.push(`${what}: ${JSON.stringify(text.slice(0, SHOWN))}`);
    return undefined;
  };
  const spot = parsed('spot/instance-action', readings.spot, spotAction);
  const advice = parsed('events/recommendations/rebalance', readings.rebalance, rebalance);
  const target = parsed(
    'autoscaling/target-lifecycle-state',
    readings.target && JSON.stringify(readings.target),
    z.enum(TARGETS),
  );
  return {
    spot: spot && { action: spot.action, at: spot.time },
    rebalance: advice && { since: advice.noticeTime },
    target,
    unknown,
    isDoubtful:
      (readings.spot !== undefined && !spot) || (readings.target !== undefined && target === undefined),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The notice that `seen` makes; undefined if the instance stays. `before` is the notice so far: it keeps its times.
 * An end of another kind has its own: an instance may be in the warm pool for days. `within` is the time for an end without a
 * time of its own, ms. An instance whose group moves it into the warm pool when
 * it has been in service leaves; one that is launched into the pool is only being made ready (`wasInService`).
 */
export function noticeOf(
  { spot, target }: Pick<Seen, 'spot' | 'target'>,
  known: { before: Notice | undefined; wasInService: boolean; now: number; within: number },
): Notice | undefined {
  const group = groupKind(target, known.wasInService);
  // What does not come back decides over what does.
  const decided =
    spot?.action === 'terminate' ? spotKind(spot) : group === 'scale-in' ? group : (spotKind(spot) ?? group);
  if (decided === undefined) return undefined;
  const { before, now, within } = known;
  const since = before?.kind === decided ? before.since : now;
  const latest = since + within;
  return {
    kind: decided,
    final: decided === 'spot-terminate' || decided === 'scale-in',
    hook: group !== undefined,
    since,
    ...(spot && { at: spot.at }),
    deadline: spot ? Math.min(latest, spot.at - MARGIN) : latest,
  };
}

function spotKind(spot: Seen['spot']): Notice['kind'] | undefined {
  return spot && `spot-${spot.action}`;
}

function groupKind(target: Target | undefined, wasInService: boolean): 'scale-in' | 'warm-pool' | undefined {
  if (target === 'Terminated' || target === 'Warmed:Terminated') return 'scale-in';
  return wasInService && target?.startsWith('Warmed:') ? 'warm-pool' : undefined;
}

/** The notice for the record of the instance. */
export function recordOf(end: Notice | undefined, rebalance: Seen['rebalance']): InstanceNotice | undefined {
  const iso = (at: number) => new Date(at).toISOString();
  if (end) {
    const { kind, since, at } = end;
    return { kind, terminating: true, since: iso(since), ...(at !== undefined && { at: iso(at) }) };
  }
  return rebalance && { kind: 'rebalance', terminating: false, since: iso(rebalance.since) };
}

/** The notice as text: `spot-terminate at 2026-11-28T10:02:00Z`. */
export function noticeText({ kind, at }: Pick<InstanceNotice, 'kind' | 'at'>): string {
  return at === undefined ? kind : `${kind} at ${at.replace(/\.\d+Z$/, 'Z')}`;
}
