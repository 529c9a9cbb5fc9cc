import { beforeEach, expect, test } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { options } from '../../../support/publisher/deploy-fixture.ts';
import {
  HOUR,
  LIVE,
  objects,
  openGcStage,
  run,
  shown,
  stage,
} from '../../../support/publisher/gc-fixture.ts';

/** Which versions `gc` deletes. */

openGcStage();
beforeEach(async () => {
  Object.assign(stage.env, { retention: { keepVersions: 3 } });
});
async function push(...versions: string[]): Promise<void> {
  for (const version of versions) {
    await stage.publish('payments', version);
    const sha = 'a'.repeat(64);
    stage.cloud.putObject(stage.bucket, keys.artifact('payments', version, sha, 'app.jar'), 'jar');
  }
}
const versions = () =>
  [...new Set(objects('artifacts/payments/').map((key) => key.split('/')[2] ?? ''))].sort();

test('beyond the retention are deleted, but never one that is desired, runs, or was last good', async () => {
  await push('1.0', '1.1', '1.2', '1.3');
  await stage.agent(LIVE, undefined, '1.2');
  for (const version of ['1.0', '1.1']) await deploy(await stage.open(), options({ version }));
  await push('2.0', '2.1', '2.2');
  const { findings, problems } = await run({ only: ['versions'] });
  expect(problems).toEqual([]);
  expect(shown(findings, 'versions').sort()).toEqual([
    'deleted payments 1.2',
    'deleted payments 1.3',
    'kept payments 1.0',
    'kept payments 1.1',
  ]);
  expect(versions()).toEqual(['1.0', '1.1', '2.0', '2.1', '2.2']);
  expect(await deploy(await stage.open(), options({ version: '1.0' }))).toBe(0);
});

test('without a retention none is deleted', async () => {
  Object.assign(stage.env, { retention: undefined });
  await push('1.0', '1.1', '1.2', '1.3', '1.4');
  expect((await run({ only: ['versions'] })).findings).toEqual([]);
});

/** The desired state of 1.0 in another environment. Nobody here can verify it. */
function desiredInStg(): string {
  const document = {
    v: 1,
    env: 'stg',
    service: 'payments',
    version: '1.0',
    sequence: 1,
    deployment: newUlid(1),
  };
  const artifacts = [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' }];
  const payload = {
    ...document,
    action: 'deploy',
    artifacts,
    changedAt: '2026-01-01T00:00:00Z',
    changedBy: 'x',
    nonce: 'n',
  };
  return `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.AAAA`;
}

test('that an environment desires which began while gc took its locks is kept', async () => {
  await push('1.0', '1.1', '1.2', '1.3', '1.4');
  // A service that was deployed here has a lock.
  await stage.agent(LIVE);
  await deploy(await stage.open(), options({ version: '1.4' }));
  const from = stage.cloud.requests.length;
  void stage.cloud
    .until(
      (one) =>
        stage.cloud.requests.indexOf(one) >= from &&
        one.operation === 'PutObject' &&
        !!one.key?.endsWith('lock.json'),
    )
    .then(() => stage.cloud.putObject(stage.bucket, keys.desired('stg', 'payments'), desiredInStg()));
  const { findings, problems } = await run({ only: ['versions'] });
  expect(problems).toEqual([]);
  expect(shown(findings).sort()).toEqual(['deleted payments 1.1', 'kept payments 1.0']);
});

test('that another environment of the bucket desires is kept', async () => {
  await push('1.0', '1.1', '1.2', '1.3', '1.4');
  stage.cloud.putObject(stage.bucket, keys.desired('stg', 'payments'), desiredInStg());
  const { findings } = await run({ only: ['versions'] });
  expect(shown(findings).sort()).toEqual(['deleted payments 1.1', 'kept payments 1.0']);
  expect(findings.find(({ state }) => state === 'kept')?.why).toBe('it is desired in stg');
  stage.cloud.putObject(stage.bucket, keys.desired('stg', 'payments'), 'garbage');
  await push('1.5');
  const broken = await run({ only: ['versions'] });
  expect(broken.problems).toMatchObject([
    { kind: 'versions', what: expect.stringMatching(/cannot be read/) },
  ]);
  expect(versions()).toHaveLength(5);
});

test('under the lock of a deployment nothing is deleted', async () => {
  await push('1.0', '1.1', '1.2', '1.3');
  const session = await stage.open();
  const lock = await session.record.locks.take({
    ...{ service: 'payments', command: 'deploy', deployment: newUlid(Date.now()) },
    signal: session.signal,
  });
  const { findings } = await run({ only: ['versions'] }, { later: 0 });
  expect(findings).toMatchObject([{ state: 'kept', why: expect.stringMatching(/locked by/) }]);
  expect(versions()).toHaveLength(4);
  await lock.release();
});

test('a deployment whose version was deleted while it waited for the lock is refused before anything is announced', async () => {
  await push('1.0', '1.1');
  const agent = await stage.agent(LIVE);
  const session = await stage.open();
  void stage.cloud
    .until(({ operation, key }) => operation === 'PutObject' && !!key?.endsWith('lock.json'))
    .then(() => stage.cloud.deleteObject(stage.bucket, keys.manifest('payments', '1.0')));
  await expect(deploy(session, options({ version: '1.0' }))).rejects.toMatchObject({
    code: 'VERSION_NOT_FOUND',
  });
  expect(agent.heard.filter(({ kind }) => kind === 'deploy')).toEqual([]);
});

test('files of a version that a killed gc left are deleted a day later', async () => {
  await push('1.0', '1.1');
  stage.cloud.deleteObject(stage.bucket, keys.manifest('payments', '1.0'));
  expect((await run({ only: ['versions'] })).findings).toEqual([]);
  const { findings } = await run({ only: ['versions'] }, { later: 25 * HOUR });
  expect(shown(findings)).toEqual(['deleted payments 1.0']);
  expect(versions()).toEqual(['1.1']);
});
