import type { Rolling } from '../record/deployment-schema.ts';

/** Which instances switch when. Pure: the same instances and sizes give the same waves, so `plan` shows what `deploy` does. */

/** A number of instances, or a percentage of them. */
export type Size = { count: number } | { percent: number };

export interface WaveSizes {
  /** The first instances, watched before others switch; none when left out. */
  canary?: Size | undefined;
  /** The size of each wave after that. */
  batch: Size;
}

/** The options of a rolling deployment. */
export interface InWaves extends WaveSizes {
  gate: Rolling['gate'];
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

/** `4` or `25%`; undefined for anything else. */
export function parseSize(text: string | number): Size | undefined {
  const [, digits, percent] = /^([1-9]\d{0,5})(%?)$/.exec(String(text)) ?? [];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  if (percent === '') return { count: number };
  return number <= 100 ? { percent: number } : undefined;
}

/** How many of `all` instances a size means: a percentage is rounded down, and it is at least one. */
export function sizeOf(size: Size, all: number): number {
  const meant = 'count' in size ? size.count : Math.floor((all * size.percent) / 100);
  return Math.min(all, Math.max(1, meant));
}

/**
 * The canary, then batches; every instance once. Each wave takes the same share of each zone, as far as whole instances
 * allow: a version that fails at once does not take a whole zone down.
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

/** Orders the instances so that every section spreads over the zones: the i-th of n in a zone is at (i + ½) / n. */
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
 * The wave before which the gate is; undefined without a gate. After the canary, if more waves follow. Otherwise before
 * the first wave, for a person only: a timer there would wait without instances to watch.
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
  const { gate, autoConfirmMs, pauseBetweenMs } = withItsGate(strategy, waves);
  return {
    waves: waves.map((wave) => ({ ...wave })),
    failed: [],
    missing: [],
    gate,
    ...(autoConfirmMs === undefined ? {} : { autoConfirmMs }),
    pauseBetweenMs,
  };
}

/** The options with the gate that these waves have: a timer without instances to watch is no gate. */
export function withItsGate<S extends InWaves>(strategy: S, waves: readonly Wave[]): S {
  if (gateBefore({ gate: strategy.gate, waves }) !== undefined) return strategy;
  return { ...strategy, gate: 'none', autoConfirmMs: undefined };
}
