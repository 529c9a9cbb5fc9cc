import type { UnderWay } from '../../console/api.ts';
import type { PublisherEvent } from '../../events.ts';
import type { PastDeployment } from '../../record/local-deployment.ts';
import { isFailing, isOver, type Row, type View } from '../../render/deployment-view.ts';
import type { Tone } from '../parts/tone.ts';

/** The waves and the automatic checks of a deployment, from its events and its record. Pure. */

type Event<T extends PublisherEvent['type']> = Extract<PublisherEvent, { type: T }>;

export interface Stages {
  /** The waves that have begun, by their number. */
  waves: ReadonlyMap<number, Event<'wave'>>;
  /** What each check said last. */
  checks: ReadonlyMap<string, Event<'check'>>;
}

export const noStages: Stages = { waves: new Map(), checks: new Map() };

/** The stages after `events`; the same object where none of them is about a stage. */
export function stagesAfter(before: Stages, events: readonly PublisherEvent[]): Stages {
  let { waves, checks } = before;
  for (const event of events) {
    if (event.type === 'started') ({ waves, checks } = noStages);
    if (event.type === 'wave') waves = new Map(waves).set(event.wave, event);
    if (event.type === 'check') {
      const { text, output } = event.state === 'passed' ? (checks.get(event.check) ?? event) : event;
      checks = new Map(checks).set(event.check, { ...event, text, ...(output !== undefined && { output }) });
    }
  }
  return waves === before.waves && checks === before.checks ? before : { waves, checks };
}

export interface Wave {
  /** `canary`, `wave 2`, `all`. */
  name: string;
  instances: readonly string[];
  hasBegun: boolean;
  /** All of it is well, whether or not its instances have said so to this page. */
  hasPassed: boolean;
}

const NO_WAVE = 'in no wave yet';

/** All waves, those to come included, and what is in none of them. */
export function wavesOf(
  { rolling }: PastDeployment,
  table: View,
  stages: Stages,
  underWay: UnderWay | undefined,
): Wave[] {
  const planned = rolling?.waves ?? [];
  const count = Math.max(planned.length, ...stages.waves.keys());
  const passed = underWay?.waiting?.after ?? (underWay?.wave?.now ?? 1) - 1;
  const waves = Array.from({ length: Number.isFinite(count) ? count : 0 }, (_, i): Wave => {
    const begun = stages.waves.get(i + 1);
    const plan = planned[i];
    const kind = begun?.kind ?? plan?.kind;
    return {
      name: kind === 'canary' ? 'canary' : `wave ${i + 1}`,
      instances: begun?.instances ?? plan?.instances ?? [],
      hasBegun: begun !== undefined || plan?.announcedAt !== undefined,
      hasPassed: plan?.passedAt !== undefined || i < passed,
    };
  });
  const placed = new Set(waves.flatMap(({ instances }) => instances));
  const others = [...table.rows.keys()].filter((instance) => !placed.has(instance)).sort();
  if (others.length === 0) return waves;
  const isAll = waves.length === 0;
  return [...waves, { name: isAll ? 'all' : NO_WAVE, instances: others, hasBegun: isAll, hasPassed: false }];
}

export interface Standing {
  tone: Tone;
  glyph: string;
  /** For who cannot see the glyph. */
  word: string;
}

const DONE: Standing = { tone: 'good', glyph: '✓', word: 'done' };
const FAILED: Standing = { tone: 'bad', glyph: '✗', word: 'with failures' };
const BUSY: Standing = { tone: 'busy', glyph: '●', word: 'under way' };
const NOT_DONE: Standing = { tone: 'dim', glyph: '–', word: 'not done' };
const TO_COME: Standing = { tone: 'dim', glyph: '○', word: 'to come' };

/** How a wave stands. */
export function standingOf({ instances, hasBegun, hasPassed }: Wave, rows: View['rows']): Standing {
  const own = instances.flatMap((instance) => rows.get(instance) ?? []);
  if (own.some(isFailing)) return FAILED;
  // A cancelled deployment ends for its other instances: they never got the version.
  if (own.some(({ state }) => state === 'superseded')) return NOT_DONE;
  if (hasPassed || (own.length > 0 && own.every(isOver))) return DONE;
  return hasBegun ? BUSY : TO_COME;
}

/** Whether the phase in which the instances prepare has ended. */
export const isPrepared = (waves: readonly Wave[]): boolean =>
  waves.some(({ hasBegun, hasPassed }) => hasBegun || hasPassed);

/**
 * How many instances of a rolling deployment have the new version ready, whether or not they have switched. A wave only
 * begins once all that are in waves are prepared.
 */
export function preparedOf(rows: Iterable<Row>, waves: readonly Wave[]): number {
  if (isPrepared(waves)) {
    return waves.reduce((sum, { name, instances }) => sum + (name === NO_WAVE ? 0 : instances.length), 0);
  }
  let count = 0;
  for (const { state, report } of rows) {
    const isBefore = state === 'waiting' || state === 'accepted' || state === 'preparing';
    if (!isBefore && state !== 'forgotten' && state !== 'silent' && report?.timings.prepare !== undefined) {
      count += 1;
    }
  }
  return count;
}
