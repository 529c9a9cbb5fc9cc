import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../../../publisher/commands/pause.ts';
import { restart } from '../../../../publisher/commands/restart.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { provenIn } from '../../../../publisher/rollout/requires.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { DocumentType } from '../../../../shared/signing.ts';
import { payloadOf } from '../../../support/publisher/announcements.ts';
import {
  deployed,
  desired,
  openStageForEach,
  options,
  records,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { notes } from '../../../support/publisher/stage.ts';

/** Another writer puts old signed documents back, or deletes them. */

openStageForEach();

const DESIRED = keys.desired('dev', 'payments');
const LOCK = keys.lock('dev', 'payments');
const bodyOf = (key: string) => stage.cloud.object(stage.bucket, key)?.body ?? '';
const back = options({ version: '' });

/** 1.0.0, then 1.1.0 was deployed; then the desired state of 1.0.0 is put back. */
async function putBack(then: 'older' | 'deleted') {
  const [agent] = await deployed(undefined);
  const old = bodyOf(DESIRED);
  expect(await deploy(await stage.open(), options())).toBe(0);
  if (then === 'older') stage.cloud.putObject(stage.bucket, DESIRED, old);
  else stage.cloud.deleteObject(stage.bucket, DESIRED);
  return agent;
}

describe.each(['older', 'deleted'] as const)('a desired state that is %s', (then) => {
  it('is refused by a rollback without --to, a restart and a promotion without a version, with what to do', async () => {
    await putBack(then);
    const refusal = {
      code: 'RECORD_DAMAGED',
      message: expect.stringContaining('1.1.0 (sequence'),
      hint: expect.stringContaining('trigger-deploy payments 1.1.0 --env dev'),
    };
    await expect(rollback(await stage.open(), back)).rejects.toMatchObject(refusal);
    await expect(restart(await stage.open(), back)).rejects.toMatchObject(refusal);
    await expect(provenIn(await stage.open(), 'payments')).rejects.toMatchObject(refusal);
  });

  it('is set anew by a deployment, with a warning; its rollback returns to what was desired last', async () => {
    await putBack(then);
    await stage.publish('payments', '1.2.0');
    const session = await stage.open();
    expect(await deploy(session, options({ version: '1.2.0' }))).toBe(0);
    expect(notes(session.events)).toContainEqual(expect.stringContaining('put an older one back'));
    expect((await records())[0]).toMatchObject({ version: '1.2.0', previous: '1.1.0' });
    expect(await desired()).toMatchObject({ version: '1.2.0' });
  });

  it('does not stop a rollback to a named version', async () => {
    await putBack(then);
    const session = await stage.open();
    expect(await rollback(session, { ...back, to: '1.0.0' })).toBe(0);
    expect(notes(session.events)).toContainEqual(expect.stringContaining('put an older one back'));
    expect(await desired()).toMatchObject({ version: '1.0.0', action: 'rollback' });
    // It says what ran last, and names no deployment of what was put back.
    const [record] = await records();
    expect(record).toMatchObject({ previous: '1.1.0' });
    expect(record).not.toHaveProperty('rollbackOf');
  });
});

it('a desired state below what most instances answer is refused, when its later record is deleted, too', async () => {
  const agent = await putBack('older');
  const [newest] = await records();
  stage.cloud.deleteObject(stage.bucket, keys.deployment('dev', 'payments', newest?.deployment ?? ''));
  if (agent) agent.underWay = { version: '1.1.0', sequence: newest?.sequence ?? 0 };
  const refusal = { code: 'RECORD_DAMAGED', message: expect.stringContaining('most instances') };
  await expect(rollback(await stage.open(), back)).rejects.toMatchObject(refusal);
  await expect(restart(await stage.open(), back)).rejects.toMatchObject(refusal);
});

it('a rollback that is due in an old record is not started where most instances run something newer', async () => {
  const [agent] = await deployed((order) => [
    'accepted',
    order.action === 'deploy' && order.version === '1.1.0' ? 'failed' : 'succeeded',
  ]);
  // Its publisher died before it started the rollback.
  const session = await stage.open();
  const [before] = await records();
  const stored = await session.record.deployments.create({
    ...(before as DeploymentRecord),
    ...{ deployment: newUlid(Date.now()), sequence: (before?.sequence ?? 0) + 1, version: '1.1.0' },
    ...{ status: 'failed', exitCode: 1, settledAt: new Date().toISOString(), rollBackTo: '1.0.0' },
    setDesired: undefined,
  });
  const { deployment, sequence } = stored.value;
  const lock = stage.json(LOCK);
  stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify({ ...lock, sequence: sequence + 5 }));
  const newer = { version: '1.2.0', sequence: sequence + 3 };
  if (agent) agent.underWay = newer;
  const watching = async () =>
    await watch(await stage.open(), { deployment, timeoutMs: 1000, detach: new AbortController().signal });
  await expect(watching()).rejects.toMatchObject({ code: 'RECORD_DAMAGED' });
  if (agent) agent.underWay = { version: '1.1.0', sequence };
  expect(await watching()).toBe(1);
  expect(await desired()).toMatchObject({ version: '1.0.0', action: 'rollback' });
});

describe('a lock', () => {
  it.each([
    ['the largest number', Number.MAX_SAFE_INTEGER],
    ['the time, in ms', Date.now() + 60_000],
  ])('that counts to %s is refused, and names the command that repairs it', async (_, sequence) => {
    await deployed(undefined);
    const lock = stage.json(LOCK);
    stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify({ ...lock, sequence }));
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({
      code: 'RECORD_DAMAGED',
      hint: expect.stringContaining('doctor payments --repair --env dev'),
    });
    expect(stage.json(LOCK)).toMatchObject({ sequence });
  });

  it('that counts to less than the newest deployment is refused, and names the command that repairs it', async () => {
    await deployed(undefined);
    const lock = stage.json(LOCK);
    expect(await deploy(await stage.open(), options())).toBe(0);
    stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify({ ...lock, sequence: 0 }));
    await expect(deploy(await stage.open(), options({ version: '1.0.0' }))).rejects.toMatchObject({
      code: 'RECORD_DAMAGED',
      hint: expect.stringContaining('doctor payments --repair --env dev'),
    });
  });

  it.each(['the desired state', 'the records'])('that is deleted counts on from %s', async (left) => {
    await deployed(undefined);
    const { sequence } = stage.json(LOCK) as { sequence: number };
    const id = (await records())[0]?.deployment ?? '';
    stage.cloud.deleteObject(stage.bucket, LOCK);
    stage.cloud.deleteObject(
      stage.bucket,
      left === 'the records' ? DESIRED : keys.deployment('dev', 'payments', id),
    );
    expect(await deploy(await stage.open(), options())).toBe(0);
    expect((await records())[0]?.sequence).toBeGreaterThan(sequence);
  });
});

describe('a pause', () => {
  const PAUSE = keys.servicePause('dev', 'payments');
  const why = { service: 'payments', reason: 'incident' };

  it.each(['deleted', 'older'] as const)(
    'whose document is %s still blocks, until it is unpaused',
    async (then) => {
      await deployed(undefined);
      await pause(await stage.open(), why);
      await unpause(await stage.open(), { service: 'payments' });
      const old = bodyOf(PAUSE);
      await pause(await stage.open(), why);
      if (then === 'older') stage.cloud.putObject(stage.bucket, PAUSE, old);
      else stage.cloud.deleteObject(stage.bucket, PAUSE);
      await expect(deploy(await stage.open(), options())).rejects.toMatchObject({
        code: 'PAUSED',
        message: expect.stringContaining('incident'),
      });
      expect(await unpause(await stage.open(), { service: 'payments' })).toMatchObject({ changed: true });
      expect(await deploy(await stage.open(), options())).toBe(0);
    },
  );

  it('of a service whose document is deleted is not ended by an unpause of the environment', async () => {
    await deployed(undefined);
    await pause(await stage.open(), why);
    stage.cloud.deleteObject(stage.bucket, PAUSE);
    await unpause(await stage.open(), {});
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({
      code: 'PAUSED',
      message: expect.stringContaining('incident'),
    });
  });

  it('of the environment whose document is deleted still blocks, until the environment is unpaused', async () => {
    await deployed(undefined);
    await pause(await stage.open(), { reason: 'freeze' });
    stage.cloud.deleteObject(stage.bucket, keys.pause('dev'));
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({ code: 'PAUSED' });
    await unpause(await stage.open(), {});
    expect(await deploy(await stage.open(), options())).toBe(0);
  });
});

describe('latest', () => {
  it('is the newest push by the signed times, whatever the index and the times of S3 say', async () => {
    await stage.publish('payments', '2.0.0');
    const push = { version: '1.0.0', pushedAt: '2099-01-01T00:00:00Z', pushedBy: 'mallory' };
    const index = { v: 1, nonce: 'n', pushes: [push] };
    stage.cloud.putObject(stage.bucket, keys.index('payments'), JSON.stringify(index));
    const old = keys.manifest('payments', '1.0.0');
    stage.cloud.putObject(stage.bucket, old, bodyOf(old));
    const { versions } = (await stage.open()).record;
    expect((await versions.resolve('payments', 'latest')).version).toBe('2.0.0');
  });

  it('is refused while the manifest of a version that may be the newest cannot be verified', async () => {
    await stage.publish('payments', '2.0.0');
    const key = keys.manifest('payments', '2.0.0');
    const [head, , signature] = bodyOf(key).toString().split('.');
    const forged = { ...payloadOf(bodyOf(key).toString()), pushedBy: 'mallory' };
    const body = Buffer.from(JSON.stringify(forged)).toString('base64url');
    stage.cloud.putObject(stage.bucket, key, [head, body, signature].join('.'));
    const { versions } = (await stage.open()).record;
    await expect(versions.resolve('payments', 'latest')).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });
});

describe('a signed document that was copied from', () => {
  it.each(['another service', 'another environment'])('%s counts for nothing', async (from) => {
    await deployed(undefined);
    const session = await stage.open();
    const { pauses, versions, desired: desiredStates } = session.record;
    const other = from === 'another service' ? { service: 'billing' } : { env: 'prd' };
    const signer = await session.signer();
    const put = async (key: string, typ: DocumentType, content: object) =>
      stage.cloud.putObject(stage.bucket, key, await signer.sign(typ, content));
    await put(DESIRED, 'td-desired+jws', { ...(await desired()), ...other });
    await expect(desiredStates.read('payments')).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
    const changes = [{ paused: false, by: 'ann', at: '2099-01-01T00:00:00Z' }];
    const unpause = { v: 1, env: 'dev', service: 'payments', changes, nonce: 'n', ...other };
    await put(keys.servicePause('dev', 'payments'), 'td-pause+jws', unpause);
    expect(await pauses.of('payments')).toMatchObject({ unverified: true });
    if (from === 'another environment') return;
    await stage.publish('billing', '1.1.0');
    const copy = bodyOf(keys.manifest('billing', '1.1.0'));
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '1.1.0'), copy);
    await expect(versions.readManifest('payments', '1.1.0')).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
    });
  });
});

describe('what is read', () => {
  it('is bounded: a larger object is refused, and named', async () => {
    await deployed(undefined);
    const big = 'x'.repeat(3 * 1024 * 1024);
    stage.cloud.putObject(stage.bucket, LOCK, big);
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
      message: expect.stringContaining(`${LOCK} is larger than`),
    });
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '1.1.0'), big);
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
  });
});
