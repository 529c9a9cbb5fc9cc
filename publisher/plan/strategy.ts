import { parseDuration } from '../../shared/config-file.ts';
import type { Environment } from '../config/load.ts';
import type { ServiceDefaults } from '../config/schema.ts';
import { type InWaves, parseSize, type Size } from './waves.ts';

/** How a deployment goes out: by the command line, else by the defaults of the service, else by those of the program. */

/** What a command line may say of it. */
export interface StrategyWish {
  strategy?: 'all' | 'rolling' | undefined;
  canary?: Size | undefined;
  batch?: Size | undefined;
  confirm?: boolean | undefined;
  autoConfirmMs?: number | undefined;
  pauseBetweenMs?: number | undefined;
}

export type Strategy = { name: 'all' } | ({ name: 'rolling' } & InWaves);

/** The service by which agents deploy themselves: a bad agent everywhere could not take itself back. */
const AGENT_SERVICE = 'trigger-deploy-agent';
const BATCH: Size = { percent: 25 };

/**
 * What is said first counts: `--strategy all` sets the defaults of the service aside, and so does any other wish
 * that it speaks of. Where the environment asks for a person, there is a gate whatever else is said.
 */
export function strategyOf(env: Environment, service: string, wish: StrategyWish): Strategy {
  const defaults = defaultsOf(env.services[service], service);
  const needsPerson = env.confirm === 'person';
  const asked =
    wish.canary ?? wish.batch ?? wish.autoConfirmMs ?? wish.pauseBetweenMs ?? (wish.confirm || undefined);
  const name = wish.strategy ?? (asked === undefined ? defaults.strategy : 'rolling');
  if (name === 'all') {
    // Even at once it waits for a person, when everybody stands prepared.
    return needsPerson
      ? {
          name: 'rolling',
          batch: { percent: 100 },
          gate: 'person',
          autoConfirmMs: undefined,
          pauseBetweenMs: 0,
        }
      : { name };
  }
  const autoConfirmMs = wish.confirm ? undefined : (wish.autoConfirmMs ?? defaults.autoConfirmMs);
  const gate = needsPerson || wish.confirm ? 'person' : autoConfirmMs === undefined ? 'none' : 'time';
  return {
    name: 'rolling',
    canary: wish.canary ?? defaults.canary,
    batch: wish.batch ?? defaults.batch ?? BATCH,
    gate,
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
