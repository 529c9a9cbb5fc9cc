import { beforeEach, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { readReply } from '../../../../publisher/messaging/reply-queue.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { InstanceRecord, Report } from '../../../../shared/report.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import {
  deployed,
  openStageForEach,
  options,
  records,
  settled,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { notes } from '../../../support/publisher/stage.ts';

openStageForEach();

const at = '2026-01-01T00:00:00.000Z';
const recordOf = (instance: string, more: Partial<InstanceRecord> = {}): InstanceRecord => ({
  ...{ v: 1, env: 'dev', service: 'payments', instance, version: '1.0.0', sequence: 1 },
  ...{ pinned: false, agentVersion: '0.2.0', at },
  ...more,
});
const saidBy = (instance: string): Partial<Report> => ({
  ...{ kind: 'report', v: 1, deployment: newUlid(1), env: 'dev', service: 'payments', instance },
  ...{ sequence: 1, n: 0, at, state: 'accepted', version: '1.0.0', timings: {} },
});
const put = (userId: string, record: object) =>
  stage.cloud.putObject(stage.bucket, keys.instance('dev', 'payments', userId), JSON.stringify(record));

let session: Awaited<ReturnType<typeof stage.open>>;
beforeEach(async () => {
  session = await stage.open();
});
const instances = async () =>
  (await session.record.deployments.instances('payments')).map(({ instance }) => instance).sort();

it('a record counts only if its key is the userid of the instance that it names', async () => {
  put(userIdOf('i-1'), recordOf('i-1'));
  put(userIdOf('i-2'), recordOf('i-3'));
  put('AIDAUSER', recordOf('i-4'));
  put(userIdOf('i-5'), recordOf('i-5', { env: 'prd' }));
  put(userIdOf('i-6'), recordOf('i-6', { service: 'billing' }));
  expect(await instances()).toEqual(['i-1']);
  expect(notes(session.events)).toContainEqual(expect.stringContaining('speaks for i-3'));
});

it('a report counts only for the deployment, the service and the environment of its key', async () => {
  const id = newUlid(1);
  const said = { kind: 'report', v: 1, deployment: id, env: 'dev', service: 'payments', instance: 'i-1' };
  const report = { ...said, sequence: 2, n: 9, at, state: 'failed', version: '1.1.0', timings: {} };
  const key = keys.report('dev', 'payments', id, userIdOf('i-1'));
  const read = () => session.record.deployments.reports('payments', id);
  for (const other of [
    { deployment: newUlid(2) },
    { service: 'billing' },
    { env: 'prd' },
    { instance: 'i-2' },
  ]) {
    stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...report, ...other }));
    expect(await read()).toEqual([]);
  }
  stage.cloud.putObject(stage.bucket, key, JSON.stringify(report));
  expect(await read()).toHaveLength(1);
});

it('of two records of one instance, under two roles, the one that was written last counts', async () => {
  put('AROAB:i-1', recordOf('i-1', { version: '1.1.0' }));
  put('AROAC:i-1', recordOf('i-1', { version: '1.0.0' }));
  const older = stage.cloud.object(stage.bucket, keys.instance('dev', 'payments', 'AROAC:i-1'));
  older?.lastModified.setTime(Date.now() - 60_000);
  const found = await session.record.deployments.instances('payments');
  expect(found).toMatchObject([{ instance: 'i-1', version: '1.1.0' }]);
});

it('one instance cannot say that another one left', async () => {
  put(userIdOf('i-1'), recordOf('i-1'));
  put(userIdOf('i-2'), recordOf('i-1', { leftAt: at }));
  expect(await instances()).toEqual(['i-1']);
  put(userIdOf('i-1'), recordOf('i-1', { leftAt: at }));
  expect(await instances()).toEqual([]);
});

it('what an agent of version 0.1 wrote counts for nothing, and is named until the agent is updated', async () => {
  put('i-1', recordOf('i-1'));
  expect(await instances()).toEqual([]);
  expect(notes(session.events)).toContainEqual(expect.stringMatching(/^i-1 .*update the agent/));
  const after = await stage.open();
  put(userIdOf('i-1'), recordOf('i-1'));
  await after.record.deployments.instances('payments');
  expect(notes(after.events)).toEqual([]);
});

it('a session that the config names speaks for its instance, and the instance id no longer does', async () => {
  stage.env.sessions = { 'web-1': 'rack-7', 'web-2': 'AIDASERVER' };
  session = await stage.open();
  put('AROAX:rack-7', recordOf('web-1'));
  put('AIDASERVER', recordOf('web-2'));
  expect(await instances()).toEqual(['web-1', 'web-2']);
  put('AROAX:rack-7', {});
  put('AROAX:web-1', recordOf('web-1'));
  expect(await instances()).toEqual(['web-2']);
});

it('a session that the config names does not also speak for an instance of its own name', async () => {
  stage.env.sessions = { 'web-1': 'rack-7' };
  session = await stage.open();
  put('AROAX:rack-7', recordOf('rack-7'));
  expect(await instances()).toEqual([]);
  const report = { Attributes: { SenderId: 'AROAX:rack-7' }, Body: JSON.stringify(saidBy('rack-7')) };
  expect(readReply(report)).toHaveProperty('reply');
  expect(readReply(report, stage.env.sessions)).toHaveProperty('refused');
});

it('what counts for nothing is named once, however often it is read', async () => {
  put('i-1', recordOf('i-1'));
  put(userIdOf('i-2'), recordOf('i-3'));
  for (let i = 0; i < 3; i += 1) expect(await instances()).toEqual([]);
  expect(notes(session.events)).toHaveLength(2);
});

it('more objects than a fleet has are refused, with where they are', async () => {
  for (let i = 0; i <= 10_000; i += 1) put(userIdOf(`i-${i}`), recordOf(`i-${i}`));
  await expect(session.record.deployments.instances('payments')).rejects.toMatchObject({
    code: 'RECORD_DAMAGED',
    message: expect.stringContaining(keys.instances('dev', 'payments')),
  });
});

it('objects further below count for nothing, however many: a * in a policy matches a slash', async () => {
  put(userIdOf('i-1'), recordOf('i-1'));
  for (let i = 0; i <= 10_000; i += 1) put(`${i}/instances/${userIdOf('i-2')}`, recordOf('i-2'));
  expect(await instances()).toEqual(['i-1']);
});

it('a report of an instance that was not expected and did not answer is shown, and does not count', async () => {
  const ghost = async (deployment: string) => {
    const about = { kind: 'report', v: 1, deployment, env: 'dev', service: 'payments', instance: 'i-ghost' };
    const said = { ...about, sequence: 2, n: 9, at, state: 'failed', version: '1.1.0', timings: {} };
    const key = keys.report('dev', 'payments', deployment, userIdOf('i-ghost'));
    stage.cloud.putObject(stage.bucket, key, JSON.stringify(said));
  };
  await deployed(async ({ deployment }) => {
    await ghost(deployment);
    return ['accepted', 'succeeded'];
  });
  session = await stage.open();
  expect(await deploy(session, options())).toBe(0);
  expect(settled(session.events)).toMatchObject([{ outcome: 'succeeded', counts: { succeeded: 1 } }]);
  expect((await records())[0]).toMatchObject({ status: 'succeeded' });
});

it('an instance that is new counts once SQS names it as the sender of a reply', async () => {
  await deployed(undefined);
  await stage.agent('i-new', ({ version }) => ['accepted', version === '1.1.0' ? 'failed' : 'succeeded']);
  stage.cloud.deleteObject(stage.bucket, keys.instance('dev', 'payments', userIdOf('i-new')));
  session = await stage.open();
  expect(await deploy(session, options())).toBe(1);
  expect(settled(session.events)[0]).toMatchObject({ counts: { failed: 1, succeeded: 1 } });
});

it('an answer to a roll call that speaks for other instances, too, or twice about a service, is dropped as a whole', () => {
  const answer = (services: InstanceRecord[]) => ({
    Attributes: { SenderId: userIdOf('i-1') },
    Body: JSON.stringify({
      ...{
        kind: 'roll-call',
        v: 1,
        rollCall: newUlid(1),
        env: 'dev',
        instance: 'i-1',
        agentVersion: '0',
        at,
      },
      services,
    }),
  });
  expect(readReply(answer([recordOf('i-1')]))).toHaveProperty('reply');
  const ofAnother = answer([recordOf('i-1'), recordOf('i-2', { service: 'billing' })]);
  expect(readReply(ofAnother)).toMatchObject({ refused: expect.stringContaining('for other instances') });
  const twice = answer([recordOf('i-1'), recordOf('i-1', { sequence: 99 })]);
  expect(readReply(twice)).toMatchObject({ refused: expect.stringContaining('names a service twice') });
  expect(readReply(answer([recordOf('i-1'), recordOf('i-1', { service: 'billing' })]))).toHaveProperty(
    'reply',
  );
  expect(readReply(answer([recordOf('i-1', { env: 'prd' })]))).toHaveProperty('refused');
});

it('a reply counts only from the sender that may speak for its instance', () => {
  const from = (SenderId: string) => ({ Attributes: { SenderId }, Body: JSON.stringify(saidBy('web-1')) });
  expect(readReply(from('AROAX:web-1'))).toHaveProperty('reply');
  expect(readReply(from('AROAX:web-2'))).toHaveProperty('refused');
  expect(readReply(from('AIDAUSER'))).toHaveProperty('refused');
  expect(readReply(from('AROAX:rack-7'), { 'web-1': 'rack-7' })).toHaveProperty('reply');
  expect(readReply(from('AROAX:web-1'), { 'web-1': 'rack-7' })).toHaveProperty('refused');
});

it('the record of an instance that is skipped is not read', async () => {
  for (const instance of ['i-1', 'i-2']) put(userIdOf(instance), recordOf(instance));
  const listed = await session.record.deployments.listInstances('payments');
  expect(listed.names.toSorted()).toEqual(['i-1', 'i-2']);
  expect(await listed.read((instance) => instance === 'i-1')).toMatchObject([{ instance: 'i-2' }]);
  const read = stage.cloud.requests.filter(({ operation }) => operation === 'GetObject');
  expect(read.map(({ key }) => key)).not.toContain(keys.instance('dev', 'payments', userIdOf('i-1')));
});
