import type { Rolling } from '../record/deployment-schema.ts';

/**
 * Decides which instances switch in which wave. Pure: the same instances and sizes give the same waves, so `plan` shows
 * what `deploy` does.
 */

/** The settings that only a rolling deployment has. The config has no `confirm`. */
export const OF_WAVES = ['canary', 'batch', 'confirm', 'autoConfirm', 'pauseBetween'] as const;

/** A number of instances, or a percentage of them. */
export type Size = { count: number } | { percent: number };

export interface WaveSizes {
  /** The size of the first wave, which must pass before other instances switch; no canary when left out. */
  canary?: Size | undefined;
  /** The size of each wave after the canary. */
  batch: Size;
}

/** The options of a rolling deployment. */
export interface InWaves extends WaveSizes {
  gate: Rolling['gate'];
  /** See `Rolling`. */
  confirm?: Rolling['confirm'];
  autoConfirmMs: number | undefined;
  pauseBetweenMs: number;
}

export interface Member {
  instance: string;
  zone?: string | undefined;
}

export interface Wave {
  kind: 'canary' | 'batch';
  instances: string[];
}

/** Parses `4` or `25%`; undefined for any other text. */
export function parseSize(text: string | number): Size | undefined {
  const [, digits, percent] = /^([1-9]\d{0,5})(%?)$/.exec(String(text)) ?? [];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  if (percent === '') return { count: number };
  return number <= 100 ? { percent: number } : undefined;
}

/** How many of `all` instances a size means: at least one, at most all. A percentage is rounded down. */
export function sizeOf(size: Size, all: number): number {
  const meant = 'count' in size ? size.count : Math.floor((all * size.percent) / 100);
  return Math.min(all, Math.max(1, meant));
}

/**
 * Plans the canary, then the batches. Each instance is in exactly one wave. Each wave takes the same share of each
 * zone, as far as whole instances allow, so that a bad version does not take down a whole zone in one wave.
 */
export function planWaves(fleet: readonly Member[], { canary, batch }: WaveSizes): Wave[] {
  const order = spread(fleet);
  const waves: Wave[] = [];
  let next = 0;
  const add = (kind: Wave['kind'], count: number) => {
    waves.push({ kind, instances: order.slice(next, next + count) });
    next += count;
  };
  if (canary !== undefined && order.length > 0) add('canary', sizeOf(canary, order.length));
  while (next < order.length) add('batch', sizeOf(batch, order.length));
  return waves;
}

/**
 * Orders the instances so that each run of neighbours spreads over the zones: instance i of the n instances in a zone
 * gets the position (i + ½) / n.
 */
function spread(fleet: readonly Member[]): string[] {
  const unique = new Map(fleet.map((member) => [member.instance, member.zone ?? '']));
  const zones = Map.groupBy([...unique.keys()].sort(), (instance) => unique.get(instance) ?? '');
  return [...zones.entries()]
    .flatMap(([zone, instances]) =>
      instances.map((instance, i) => ({ instance, zone, place: (i + 0.5) / instances.length })),
    )
    .sort((a, b) => a.place - b.place || (a.zone < b.zone ? -1 : a.zone > b.zone ? 1 : 0))
    .map(({ instance }) => instance);
}

/**
 * The index of the wave that waits at the gate; undefined without a gate. The gate is after the canary if more waves
 * follow. Otherwise it is before the first wave, but only if a person opens it: before the first wave no instance has
 * switched, so a timer would have no instance to watch.
 */
export function gateBefore(rolling: {
  gate: Rolling['gate'];
  waves: readonly { kind: string }[];
}): number | undefined {
  const { gate, waves } = rolling;
  if (gate === 'none') return undefined;
  if (waves[0]?.kind === 'canary' && waves.length > 1) return 1;
  return gate === 'person' ? 0 : undefined;
}

/** The waves of a new rolling deployment, as the record holds them. */
export function rollingFor(fleet: readonly Member[], strategy: InWaves): Rolling {
  const waves = planWaves(fleet, strategy);
  const { gate, confirm, autoConfirmMs, pauseBetweenMs } = withItsGate(strategy, waves);
  return {
    waves: waves.map((wave) => ({ ...wave })),
    failed: [],
    missing: [],
    gate,
    ...(confirm && { confirm }),
    ...(autoConfirmMs === undefined ? {} : { autoConfirmMs }),
    pauseBetweenMs,
  };
}

/** `strategy`, but without its gate where `gateBefore` allows none for these waves. */
export function withItsGate<S extends InWaves>(strategy: S, waves: readonly Wave[]): S {
  if (gateBefore({ gate: strategy.gate, waves }) !== undefined) return strategy;
  return { ...strategy, gate: 'none', autoConfirmMs: undefined };
}

/**
 * The waves without the instances in `gone`. If all canary instances are gone, the first instances of the next wave
 * become the canary, because a canary must pass before the other instances switch.
 */
export function wavesWithout(gone: ReadonlySet<string>, planned: Rolling['waves']): Rolling['waves'] {
  const waves = planned
    .map((wave) => ({ ...wave, instances: wave.instances.filter((instance) => !gone.has(instance)) }))
    .filter((wave) => wave.instances.length > 0);
  const canary = planned[0];
  const [first, ...rest] = waves;
  if (canary?.kind !== 'canary' || first === undefined || first.kind === 'canary') return waves;
  const size = canary.instances.length;
  const left = { ...first, instances: first.instances.slice(size) };
  return [
    { ...first, kind: 'canary', instances: first.instances.slice(0, size) },
    ...(left.instances.length > 0 ? [left] : []),
    ...rest,
  ];
}
