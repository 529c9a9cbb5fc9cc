import type { Journal } from '../../../agent/deploy/ports.ts';
import type { ServiceState } from '../../../agent/deploy/state.ts';
import { createMetrics, type MetricsParts } from '../../../agent/metrics/metrics.ts';
import type { Desired } from '../../../shared/desired.ts';
import { IDENTITY } from '../fleet/fake-ports.ts';
import { AT, EMPTY, ORDER } from './state-fixture.ts';

/** A journal in memory, which begins with `state`. */
const journalWith = (state?: ServiceState): Journal => ({
  load: async () => ({ state, quarantined: undefined }),
  append: async () => undefined,
});

export const desiredOf = (version: string, sequence: number): Desired => ({
  ...{ v: 1, env: 'dev', service: 'payments', version, sequence, deployment: ORDER.deployment },
  ...{ action: 'deploy', artifacts: [], changedAt: AT, changedBy: 'ci', nonce: 'n' },
});

/** Metrics of the services payments and billing, at a time that the test sets. */
export function measured(more: Partial<MetricsParts> = {}) {
  const time = { now: Date.parse(AT), desired: undefined as Desired | undefined };
  const metrics = createMetrics({
    services: ['payments', 'billing'],
    identity: IDENTITY,
    clock: { now: () => time.now, monotonic: () => time.now },
    desired: (service) => (service === 'payments' ? time.desired : undefined),
    ...more,
  });
  const values = (service = 'payments') => {
    const found = metrics.read().services.get(service);
    if (found === undefined) throw new Error(`nothing is measured of ${service}`);
    return found;
  };
  /** The journal of payments, loaded. */
  const journal = async (state: ServiceState | undefined = EMPTY) => {
    const made = metrics.journal('payments', journalWith(state));
    await made.load();
    return made;
  };
  return { metrics, time, values, journal };
}
