import { expect, test } from 'vitest';
import type { DesiredReader } from '../../../../agent/deploy/converge.ts';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import type { Desired } from '../../../../shared/desired.ts';
import { silentLog } from '../../../../shared/log.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  hook,
  IDENTITY,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** What comes between a look and what is made of it, and between two lives of the agent. */

const open = (model: Model) =>
  openWorker({
    ...{ service: serviceConfig(), ports: createFakePorts(model) },
    ...{ identity: IDENTITY, log: silentLog() },
  });

function desiring(version: string): { reader: DesiredReader; deployment: string; order: Desired } {
  const { deployment, sequence, artifacts } = orderOf(version);
  const order: Desired = {
    ...{ v: 1, env: 'dev', service: 'payments', version, sequence, deployment, action: 'deploy' },
    ...{ artifacts, changedAt: '2026-01-01T00:00:00Z', changedBy: 'ci', nonce: 'n' },
  };
  return { reader: { read: async () => order }, deployment, order };
}

test('two looks at the desired state at once are one deployment', async () => {
  const model = modelRunning('1.0.0');
  const worker = await open(model);
  const { reader, deployment } = desiring('1.1.0');
  const { signal } = new AbortController();
  await Promise.all([worker.converge(reader, signal), worker.converge(reader, signal)]);
  expect(worker.state().waiting).toMatchObject({ deployment });
  expect(worker.state().endings).toEqual([]);
});

test('an announcement that arrives while the desired state is read is not superseded by an older one', async () => {
  const model = modelRunning('1.0.0');
  const worker = await open(model);
  const { reader } = desiring('1.1.0');
  const newer = orderOf('1.2.0');
  await Promise.all([worker.accept(newer), worker.converge(reader, new AbortController().signal)]);
  expect(worker.state().waiting).toMatchObject({ deployment: newer.deployment });
  expect(worker.state().endings).toEqual([]);
});

test('an agent killed while it gives traffic back turns back again and does not go forward', async () => {
  const model = modelRunning('1.0.0');
  const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
  model.failingHooks.add('/drain');
  const ports = createFakePorts(model);
  // The journal takes nothing any more once the traffic is back: that is where the first life ends.
  const { append } = ports.journal;
  ports.journal.append = async (state) => {
    if (state.active === null && state.endings.length > 0) throw new Error('killed');
    await append(state);
  };
  const first = await live(model, serviceConfig({ hooks }), ports);
  const gaveBack = Promise.withResolvers<void>();
  model.before = (call) => {
    if (call === 'hook /undrain') gaveBack.resolve();
  };
  const order = orderOf('1.1.0');
  await first.worker.accept(order);
  await gaveBack.promise;
  await first.stop();

  model.failingHooks.clear();
  const second = await live(model, serviceConfig({ hooks }));
  expect(await second.ending(order.deployment)).toMatchObject({ state: 'failed' });
  await second.stop();
  expect(second.worker.state().endings).toHaveLength(1);
  expect(model).toMatchObject({ current: '1.0.0', starts: [] });
});
