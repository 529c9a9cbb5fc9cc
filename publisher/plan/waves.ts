import type { Rolling } from '../record/deployment-schema.ts';

/**
 * Who switches when. Pure: the same fleet and sizes give the same waves, so that `plan` shows what a deploy does.
 */

/** A number of instances, or a share of the fleet. */
export type Size = { count: number } | { percent: number };

export interface WaveSizes {
  /** The first instances, watched before anybody else switches; none when left out. */
  canary?: Size | undefined;
  /** Each of the waves that follow. */
  batch: Size;
}

/** How a deployment goes out in waves. */
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

/** How many of `all` a size means: a share never more than it says, and one at least. */
export function sizeOf(size: Size, all: number): number {
  const meant = 'count' in size ? size.count : Math.floor((all * size.percent) / 100);
  return Math.min(all, Math.max(1, meant));
}

/**
 * The canary, then batches; every instance once. Each wave has of each zone as nearly its share as whole instances
 * allow: a version that is bad in its first minute takes no zone away.
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

/** The instances in an order of which every stretch is spread over the zones: the i-th of n stands at (i + ½) / n. */
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
 * Before which wave the gate stands: behind the canary; a person's without a canary, or with nobody behind it, before
 * anybody switches. Time opens nothing there: it would be waited for nothing that could be watched meanwhile.
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

/** The record of a deployment in waves, before anything of it has happened. */
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

/** As it goes out in these waves: where time has nothing to watch, it says that there is no gate. */
export function withItsGate<S extends InWaves>(strategy: S, waves: readonly Wave[]): S {
  if (gateBefore({ gate: strategy.gate, waves }) !== undefined) return strategy;
  return { ...strategy, gate: 'none', autoConfirmMs: undefined };
}
