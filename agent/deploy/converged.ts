import { isBeyondReach } from '../../shared/sequence.ts';
import { commandEnvironment } from './command-environment.ts';
import { type DesiredReader, orderFromDesired } from './converge.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { brokenBy } from './state.ts';
import type { StateStore } from './state-store.ts';

/** `failed`: it stays as it is until a person or another deployment changes that. */
export type Convergence = { state: 'converged' } | { state: 'pending' | 'failed'; why: string };

/**
 * Whether a service runs what it should, and is healthy: each check passes once, and the manager calls it active. A
 * service without a desired state has nothing to run. @throws what `reader` throws.
 */
export async function convergenceOf(
  context: { service: ServiceConfig; ports: Ports; identity: Identity; store: StateStore },
  reader: DesiredReader,
  signal: AbortSignal,
): Promise<Convergence> {
  const { service, ports, identity, store } = context;
  const want = await reader.read(service.name, signal);
  const state = store.read();
  if (state.active || state.waiting) return pending('a deployment is under way');
  if (!want) return { state: 'converged' };
  if (isBeyondReach(want.sequence, ports.clock.now())) return failed('its desired state cannot be believed');
  const current = await ports.package.current();
  if (typeof orderFromDesired(state, want, current) !== 'string')
    return pending(`${want.version} is to come`);
  const hasFailed = state.failures.some(({ deployment }) => deployment === want.deployment);
  if (!state.pinned && (hasFailed || state.tombstones.includes(want.deployment)))
    return failed(`${want.version} failed here, or was cancelled`);
  if (brokenBy(state)) return failed('it is broken');
  if (current === null) return failed('no version is current');
  const { active, summary } = await ports.manager.status(signal);
  if (!active) return pending(`it is not active: ${summary}`);
  const about = { service: service.name, version: current };
  const expected = { ...about, environment: commandEnvironment({ env: identity.env, ...about }) };
  const answers = await Promise.all(service.checks.map((one) => ports.probe.probe(one, expected, signal)));
  const bad = answers.findIndex(({ ok }) => !ok);
  const check = service.checks[bad];
  return check ? pending(`${ports.probe.describe(check)}: ${answers[bad]?.note}`) : { state: 'converged' };
}

const pending = (why: string): Convergence => ({ state: 'pending', why });
const failed = (why: string): Convergence => ({ state: 'failed', why });
