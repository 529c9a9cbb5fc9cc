import { parseDuration } from '../../shared/duration.ts';
import type { Environment } from '../config/load.ts';
import type { ServiceDefaults } from '../config/schema.ts';
import { checksOf } from './checks.ts';
import { type InWaves, parseSize, type Size } from './waves.ts';

/**
 * Computes the strategy of a deployment: from the command line, else from the service's defaults in the config, else
 * from the defaults of this program.
 */

/** The options of the command line that set the strategy. */
export interface StrategyWish {
  strategy?: 'all' | 'rolling' | undefined;
  canary?: Size | undefined;
  batch?: Size | undefined;
  confirm?: boolean | undefined;
  autoConfirmMs?: number | undefined;
  pauseBetweenMs?: number | undefined;
  skipChecks?: boolean | undefined;
}

export type Strategy = { name: 'all' } | ({ name: 'rolling' } & InWaves);

/**
 * The service that updates the agents themselves. It is rolling by default: if a bad agent ran on all instances, no
 * agent could roll it back.
 */
const AGENT_SERVICE = 'trigger-deploy-agent';
const BATCH: Size = { percent: 25 };

/**
 * The strategy to use. `--strategy all` overrides all defaults of the service; each other option overrides only its own
 * default. If the environment has `confirm:`, the strategy always has a gate that a person must open. With a gate
 * or with automatic checks, `all` is one wave: the publisher can then stop the deployment, and another one continue it.
 */
export function strategyOf(env: Environment, service: string, wish: StrategyWish): Strategy {
  const defaults = defaultsOf(env.services[service], service);
  const needsPerson = env.confirm !== undefined;
  const by = env.confirm === 'other' ? { confirm: 'other' as const } : {};
  const asked =
    wish.canary ?? wish.batch ?? wish.autoConfirmMs ?? wish.pauseBetweenMs ?? (wish.confirm || undefined);
  const name = wish.strategy ?? (asked === undefined ? defaults.strategy : 'rolling');
  if (name === 'all') {
    const isChecked = checksOf(env, service) !== undefined && !wish.skipChecks;
    if (!needsPerson && !isChecked) return { name };
    // All instances prepare; the gate is before the wave.
    const gate = needsPerson ? 'person' : 'none';
    return {
      ...{ name: 'rolling', batch: { percent: 100 }, gate, autoConfirmMs: undefined, pauseBetweenMs: 0 },
      ...by,
    };
  }
  const autoConfirmMs = wish.confirm ? undefined : (wish.autoConfirmMs ?? defaults.autoConfirmMs);
  const gate = needsPerson || wish.confirm ? 'person' : autoConfirmMs === undefined ? 'none' : 'time';
  return {
    name: 'rolling',
    canary: wish.canary ?? defaults.canary,
    batch: wish.batch ?? defaults.batch ?? BATCH,
    gate,
    ...by,
    autoConfirmMs: gate === 'time' ? autoConfirmMs : undefined,
    pauseBetweenMs: wish.pauseBetweenMs ?? defaults.pauseBetweenMs ?? 0,
  };
}

function defaultsOf(file: ServiceDefaults | undefined, service: string) {
  const ms = (text: string | undefined) => (text === undefined ? undefined : parseDuration(text));
  const size = (value: string | number | undefined) => (value === undefined ? undefined : parseSize(value));
  const own = service === AGENT_SERVICE;
  const careful = [file?.canary, file?.batch, file?.autoConfirm, file?.pauseBetween].some(
    (one) => one !== undefined,
  );
  return {
    strategy: file?.strategy ?? (own || careful ? 'rolling' : 'all'),
    canary: size(file?.canary) ?? (own ? { count: 1 } : undefined),
    batch: size(file?.batch),
    autoConfirmMs: ms(file?.autoConfirm),
    pauseBetweenMs: ms(file?.pauseBetween),
  } as const;
}
