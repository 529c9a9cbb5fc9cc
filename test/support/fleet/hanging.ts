import type { Ports, ServiceConfig } from '../../../agent/deploy/ports.ts';
import { openWorker, type ServiceWorker } from '../../../agent/deploy/worker.ts';
import type { Clock } from '../../../shared/clock.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { silentLog } from '../../../shared/log.ts';
import { heldClock } from '../host/clock.ts';
import { type Life, live } from './agent-life.ts';
import { createFakePorts, IDENTITY, type Model, serviceConfig } from './fake-ports.ts';

/** The deadline of a check is in real time. It is long, because only the clock of the test is under test. */
function withPatientChecks(service: ServiceConfig): ServiceConfig {
  return { ...service, checks: service.checks.map((check) => ({ ...check, deadline: 600_000 })) };
}

/** A worker over an instance in memory, on a clock that the test puts forward. */
export async function liveOnHeldClock(
  model: Model,
  overrides: Partial<ServiceConfig> = {},
): Promise<Life & { putForward: (ms: number) => Promise<void> }> {
  const { clock, putForward } = heldClock();
  const service = withPatientChecks(serviceConfig(overrides));
  return { ...(await live(model, service, { ...createFakePorts(model), clock })), putForward };
}

/** Like `liveOnHeldClock`, for a test that opens many. `stop` puts the clock forward until the worker has ended. */
export async function openOnHeldClock(
  service: ServiceConfig,
  ports: Ports,
): Promise<{
  worker: ServiceWorker;
  clock: Clock;
  putForward: (ms: number) => Promise<void>;
  stop: () => Promise<void>;
}> {
  const { clock, putForward } = heldClock();
  const worker = await openWorker({
    ...{ service: withPatientChecks(service), identity: IDENTITY, log: silentLog() },
    ports: Object.assign(ports, { clock }),
  });
  const stopping = new AbortController();
  const running = worker.run(stopping.signal);
  return {
    ...{ worker, clock, putForward },
    async stop() {
      stopping.abort(new TriggerDeployError('INTERRUPTED', 'stopped'));
      await putForward(60_000);
      await running;
    },
  };
}

/** Port calls with this name never return, whatever aborts; `reached` resolves at the first. */
export function hangAt(model: Model, isHung: (call: string) => boolean): { reached: Promise<void> } {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  model.before = (call) => {
    if (!isHung(call)) return;
    resolve();
    return new Promise(() => {});
  };
  return { reached };
}
