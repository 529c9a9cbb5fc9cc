import { parseDuration } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { Environment } from '../config/load.ts';
import { checksOf, dueChecks } from '../plan/checks.ts';
import { strategyOf } from '../plan/strategy.ts';
import { OF_WAVES, parseSize } from '../plan/waves.ts';
import { optionName } from './option-kinds.ts';
import { DEFAULT_TIMEOUT_MS, type FollowValues, type RollingValues } from './option-sets.ts';

/**
 * The options of a deployment: from the command line, else the service's defaults in the config, else the program's
 * defaults.
 */

/** Why these options of one command line contradict each other; undefined when they do not. */
export function contradiction(values: Readonly<Record<string, unknown>>): string | undefined {
  const given = OF_WAVES.filter((key) => values[key] !== undefined && values[key] !== false);
  if (values.strategy === 'all' && given[0] !== undefined) {
    return `--strategy all and ${optionName(given[0])} cannot be combined: ${optionName(given[0])} needs a rolling deployment`;
  }
  return given.includes('confirm') && given.includes('autoConfirm')
    ? '--confirm and --auto-confirm cannot be combined: the first waits for a person, the second does not'
    : undefined;
}

type OfService<T> = T & { service: string };

/** Whether the command waits for the deployment, how long, and whether it waits in the queue first. */
export function followOptions(env: Environment, values: OfService<FollowValues>) {
  const defaults = env.services[values.service] ?? {};
  const timeout = defaults.timeout === undefined ? undefined : parseDuration(defaults.timeout);
  return {
    wait: !values.noWait,
    timeoutMs: values.timeout ?? timeout ?? DEFAULT_TIMEOUT_MS,
    allowMissing: values.allowMissing ?? defaults.allowMissing ?? 0,
    ifSequence: values.ifSequence,
    queueMode: values.jump ? 'jump' : values.queue ? 'queue' : undefined,
  } as const;
}

/** Which instances the deployment is for, in which waves, how many of them may fail, and what checks it. */
export function rollingOptions(env: Environment, values: OfService<RollingValues>) {
  const { service, strategy, canary, batch, confirm, autoConfirm, pauseBetween, skipChecks } = values;
  const { only, where } = values;
  const defaults = env.services[service] ?? {};
  const waves = { canary, batch, confirm, autoConfirmMs: autoConfirm, pauseBetweenMs: pauseBetween };
  const wish = { strategy, ...waves, skipChecks };
  const allowed = defaults.maxFailures === undefined ? 0 : (parseSize(defaults.maxFailures) ?? 0);
  return {
    ...{ only, where },
    strategy: strategyOf(env, service, wish),
    maxFailures: values.maxFailures ?? allowed,
    onFailure: values.onFailure ?? defaults.onFailure ?? 'rollback',
    checks: checksOf(env, service, skipChecks),
  } as const;
}

/** All options of a deployment. @throws USAGE for a rolling deployment with `--no-wait`. */
export function deployOptions(env: Environment, values: OfService<FollowValues & RollingValues>) {
  const options = { ...followOptions(env, values), ...rollingOptions(env, values) };
  if (!options.wait && options.strategy.name === 'rolling') {
    const { why, hint } = whyWait(env, values.service, options);
    throw new TriggerDeployError('USAGE', `--no-wait cannot be used: ${why}`, {
      hint: `${hint}; if this publisher stops, trigger-deploy resume continues the deployment`,
    });
  }
  return options;
}

/** Why the deployment needs a running publisher, and what to do instead. */
function whyWait(
  { name, confirm }: Environment,
  service: string,
  { checks }: Pick<ReturnType<typeof rollingOptions>, 'checks'>,
): { why: string; hint: string } {
  const hint = 'leave out --no-wait';
  if (confirm === 'other') return { why: `${name} requires another person's confirmation`, hint };
  if (confirm === 'person') return { why: `${name} requires a person's confirmation`, hint };
  if (dueChecks(checks) !== undefined) {
    return { why: `${service} has automatic checks in ${name}, which a running publisher makes`, hint };
  }
  const why = 'a rolling deployment needs a running publisher';
  return { why, hint: `${hint}, or add --strategy all` };
}
