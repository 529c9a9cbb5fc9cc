import { expect, test } from 'vitest';
import type { DesiredReader } from '../../../../agent/deploy/converge.ts';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { NEVER } from '../../../../shared/abort.ts';
import type { Desired } from '../../../../shared/desired.ts';
import { silentLog } from '../../../../shared/log.ts';
import { newUlid } from '../../../../shared/names.ts';
import { isEnding } from '../../../../shared/states.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  createModel,
  IDENTITY,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** A worker that converges on the desired state, alone and beside announcements. */

function wants(version: string, sequence: number, deployment = newUlid(1_800_000_000_000 + sequence)) {
  const { artifacts } = orderOf(version);
  const desired: Desired = {
    v: 1,
    env: 'dev',
    service: 'payments',
    version,
    sequence,
    deployment,
    action: 'deploy',
    artifacts,
    changedAt: '2026-01-01T00:00:00.000Z',
    changedBy: 'ci',
    nonce: 'n',
  };
  const reader: DesiredReader = { read: async () => desired };
  return { desired, reader };
}

/** A worker that accepts orders and does not carry them out. */
const openIdle = (model: Model) =>
  openWorker({
    ...{ service: serviceConfig(), ports: createFakePorts(model) },
    ...{ identity: IDENTITY, log: silentLog() },
  });

const endings = (model: Model, deployment: string) =>
  model.delivered.filter((report) => report.deployment === deployment && isEnding(report.state));

test('two simultaneous reads of the desired state make one deployment', async () => {
  const model = modelRunning('1.0.0');
  const worker = await openIdle(model);
  const { reader, desired } = wants('1.1.0', orderOf('1.1.0').sequence);
  const { deployment } = desired;
  const { signal } = new AbortController();
  await Promise.all([worker.converge(reader, signal), worker.converge(reader, signal)]);
  expect(worker.state().waiting).toMatchObject({ deployment });
  expect(worker.state().endings).toEqual([]);
});

test('an announcement that arrives while the desired state is read is not superseded by an older one', async () => {
  const model = modelRunning('1.0.0');
  const worker = await openIdle(model);
  const { reader } = wants('1.1.0', orderOf('1.1.0').sequence);
  const newer = orderOf('1.2.0');
  await Promise.all([worker.accept(newer), worker.converge(reader, new AbortController().signal)]);
  expect(worker.state().waiting).toMatchObject({ deployment: newer.deployment });
  expect(worker.state().endings).toEqual([]);
});

test('converging twice at once while the same deployment is announced makes one deployment with one ending', async () => {
  const model = createModel();
  const life = await live(model);
  const { desired, reader } = wants('1.0.0', 5);
  const order = orderOf('1.0.0', { deployment: desired.deployment, sequence: 5 });
  await Promise.all([
    life.worker.converge(reader, NEVER),
    life.worker.converge(reader, NEVER),
    life.worker.accept(order),
  ]);
  expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded' });
  await life.reached(() => life.worker.state().outbox.length === 0);
  expect(endings(model, desired.deployment)).toHaveLength(1);
  expect(model.starts).toEqual(['1.0.0']);
});

test('a newer desired state supersedes a prepared deployment whose publisher died', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const held = orderOf('1.1.0', { hold: true });
  await life.worker.accept(held);
  await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
  const { desired, reader } = wants('1.2.0', held.sequence + 1);
  await life.worker.converge(reader, NEVER);
  expect(await life.ending(held.deployment)).toMatchObject({ state: 'superseded' });
  expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded' });
});

test('the desired state continues a deployment that was prepared here too late for its rollout', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const held = orderOf('1.1.0', { hold: true });
  await life.worker.accept(held);
  await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
  const { desired, reader } = wants('1.1.0', held.sequence, held.deployment);
  await Promise.all([life.worker.converge(reader, NEVER), life.worker.converge(reader, NEVER)]);
  expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded', previous: '1.0.0' });
  await life.reached(() => life.worker.state().outbox.length === 0);
  expect(endings(model, desired.deployment)).toHaveLength(1);
  expect(model).toMatchObject({ starts: ['1.1.0'], downloads: ['1.1.0'] });
  expect(life.worker.state()).toMatchObject({ running: { sequence: held.sequence }, waiting: null });
});

test('converging on a deployment that was rejected as expired installs it, and reports no second ending', async () => {
  const model = createModel();
  const life = await live(model);
  const { desired, reader } = wants('1.0.0', 5);
  const expired = orderOf('1.0.0', { deployment: desired.deployment, sequence: 5 });
  await life.worker.refuse(expired, 'rejected', { code: 'EXPIRED', message: 'too late' });
  await life.ending(desired.deployment);
  await life.worker.converge(reader, NEVER);
  await life.reached(() => model.records.at(-1)?.version === '1.0.0');
  expect(endings(model, desired.deployment).map((report) => report.state)).toEqual(['rejected']);
  expect(model.running?.version).toBe('1.0.0');
});

test('converging is retried after a failure that may pass by itself', async () => {
  const model = createModel();
  const life = await live(model);
  const { desired, reader } = wants('1.0.0', 5);
  model.unavailable.add('1.0.0');
  await life.worker.converge(reader, NEVER);
  expect(await life.ending(desired.deployment)).toMatchObject({ state: 'failed', step: 'prepare' });
  model.unavailable.clear();
  await life.worker.converge(reader, NEVER);
  await life.reached(() => model.records.at(-1)?.version === '1.0.0');
  expect(endings(model, desired.deployment)).toHaveLength(1);
});

test('a broken service does not converge until a newer version is desired', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.0.0').add('1.1.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'broken' });
  const starts = model.starts.length;
  await life.worker.converge(wants('1.0.0', order.sequence - 1).reader, NEVER);
  expect(life.worker.state()).toMatchObject({ waiting: null, active: null });
  expect(model.starts).toHaveLength(starts);
  await life.reached(() => model.records.at(-1)?.state === 'broken');
  const stale = orderOf('0.9.0', { sequence: order.sequence - 2 });
  const why = { code: 'SUPERSEDED', message: 'older than what was seen' } as const;
  await life.worker.refuse(stale, 'superseded', why);
  await life.worker.converge(wants('1.0.0', order.sequence - 1).reader, NEVER);
  expect(life.worker.state()).toMatchObject({ waiting: null, active: null });
  expect(await life.worker.record(NEVER)).toMatchObject({ state: 'broken' });
  const newer = wants('1.2.0', order.sequence + 1);
  await life.worker.converge(newer.reader, NEVER);
  expect(await life.ending(newer.desired.deployment)).toMatchObject({ state: 'succeeded' });
});

test('a desired state whose sequence no number of deployments reaches is not followed', async () => {
  const model = modelRunning('1.0.0');
  const worker = await openIdle(model);
  for (const sequence of [Date.now() + 60_000, Number.MAX_SAFE_INTEGER]) {
    await worker.converge(wants('1.1.0', sequence, newUlid(sequence % 1e12)).reader, NEVER);
  }
  expect(worker.state()).toMatchObject({ waiting: null, active: null });
  await worker.converge(wants('1.1.0', 9).reader, NEVER);
  expect(worker.state()).toMatchObject({ waiting: { version: '1.1.0' } });
});
