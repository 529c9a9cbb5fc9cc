import { dirname, join } from 'node:path';
import type { Clock } from '../shared/clock.ts';
import { type AgentConfig, type AgentServiceConfig, agentItself } from './config.ts';
import { debIn } from './host/deb/contents.ts';
import { placesOf } from './host/releases/staging.ts';
import { createGuard } from './host/self-update/guard.ts';
import { createSelfUpdate, type SelfUpdate } from './host/self-update/self-update.ts';
import type { Connectivity } from './loop/connectivity.ts';
import { VERSION } from './wire-instance.ts';

/** How much longer than all configured timeouts together a new agent may take from its start to its commit, ms. */
const SELF_UPDATE_SLACK = 15_000;
/** How long an agent may take to be ready, ms. It is ready before it waits for AWS or for another unit. */
const STARTS_WITHIN = 30_000;
/** How long an agent may take to stop, without the hook that it waits for, ms: TimeoutStopSec and a margin. */
const STOPS_WITHIN = 90_000;

/** What the agent needs to update itself; undefined if `service` is not the agent. */
export function wireSelfUpdate(
  config: AgentConfig,
  service: AgentServiceConfig,
  connectivity: Connectivity,
  clock: Clock,
): SelfUpdate | undefined {
  const itself = agentItself(service);
  if (!itself) return undefined;
  const { package: pkg, manager } = itself;
  const { checks, watch, hooks } = service;
  const bounds = [
    ...checks.map((check) => check.deadline),
    ...hooks.afterStart.map((hook) => hook.timeout),
    // Once for the unit to become active, and once for the agent to reach AWS.
    2 * manager.startTimeout,
    2 * watch,
  ];
  const allHooks = Object.values(config.services).flatMap((one) => [
    ...one.hooks.beforeStop,
    ...one.hooks.afterStart,
  ]);
  return createSelfUpdate({
    guard: createGuard({
      directory: join(config.state, 'self-update'),
      script: join(dirname(process.argv[1] ?? ''), 'self-update'),
    }),
    name: pkg.name,
    unit: manager.unit,
    own: VERSION,
    process: process.env.INVOCATION_ID ?? String(process.pid),
    pid: process.pid,
    debOf: (version) => debIn(placesOf(pkg.dir).release(version)),
    missing: connectivity.missing,
    within: bounds.reduce((sum, ms) => sum + ms, SELF_UPDATE_SLACK),
    startsWithin: STARTS_WITHIN,
    stopsWithin: STOPS_WITHIN + Math.max(0, ...allHooks.map((hook) => hook.timeout)),
    reachWithin: manager.startTimeout,
    lockWithin: pkg.lockTimeout,
    installWithin: pkg.installTimeout,
    clock,
  });
}
