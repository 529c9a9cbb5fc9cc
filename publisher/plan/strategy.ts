import { parseDuration } from '../../shared/config-file.ts';
import type { Environment } from '../config/load.ts';
import type { ServiceDefaults } from '../config/schema.ts';
import { type InWaves, parseSize, type Size } from './waves.ts';

/** The strategy of a deployment: from the command line, else the service's defaults, else the program's. */

/** What the command line can set. */
export interface StrategyWish {
  strategy?: 'all' | 'rolling' | undefined;
  canary?: Size | undefined;
  batch?: Size | undefined;
  confirm?: boolean | undefined;
  autoConfirmMs?: number | undefined;
  pauseBetweenMs?: number | undefined;
}

export type Strategy = { name: 'all' } | ({ name: 'rolling' } & InWaves);

/** The service by which agents update themselves: bad agents on all instances could not roll themselves back. */
const AGENT_SERVICE = 'trigger-deploy-agent';
const BATCH: Size = { percent: 25 };

/**
 * The command line overrides the defaults of the service: `--strategy all` overrides all of them, each other option
 * only its own. Where the environment has `confirm: person` there is always a gate for a person.
 */
export function strategyOf(env: Environment, service: string, wish: StrategyWish): Strategy {
  const defaults = defaultsOf(env.services[service], service);
  const needsPerson = env.confirm === 'person';
  const asked =
    wish.canary ?? wish.batch ?? wish.autoConfirmMs ?? wish.pauseBetweenMs ?? (wish.confirm || undefined);
  const name = wish.strategy ?? (asked === undefined ? defaults.strategy : 'rolling');
  if (name === 'all') {
    // One wave of all instances, with the gate before it: a person confirms when all are prepared.
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
