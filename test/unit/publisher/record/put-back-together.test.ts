import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { doctor } from '../../../../publisher/commands/doctor.ts';
import { restart } from '../../../../publisher/commands/restart.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { State } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import {
  deployed,
  deploysHeard,
  desired,
  openStageForEach,
  options,
  records,
  settled,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never } from '../../../support/publisher/stage.ts';

/** Another writer puts several old signed documents back at once, deletes others, and forges what is not signed. */

openStageForEach();

const DESIRED = keys.desired('dev', 'payments');
const DEPLOYMENTS = keys.deployments('dev', 'payments');
const bodyOf = (key: string) => stage.cloud.object(stage.bucket, key)?.body.toString() ?? '';
const put = (key: string, body: string) => stage.cloud.putObject(stage.bucket, key, body);
const remove = (key: string) => stage.cloud.deleteObject(stage.bucket, key);
const keyOf = ({ deployment }: DeploymentRecord) => keys.deployment('dev', 'payments', deployment);
const back = options({ version: '' });
const to = async (version: string) => {
  const session = await stage.open();
  expect(await deploy(session, options({ version }))).toBe(0);
  return session;
};

/** The report of i-1 in the bucket, as another writer makes it. */
function forge(of: Pick<DeploymentRecord, 'deployment' | 'version' | 'sequence'>, state: State): void {
  const at = new Date().toISOString();
  const { deployment, version, sequence } = of;
  const said = { kind: 'report', v: 1, env: 'dev', service: 'payments', instance: 'i-1', timings: {}, at };
  const key = keys.report('dev', 'payments', deployment, userIdOf('i-1'));
  put(key, JSON.stringify({ ...said, deployment, version, sequence, state, n: 500 }));
}

describe('after 1.0.0, 1.1.0 and 1.2.0', () => {
  let agent: FakeAgent;
  let newest: DeploymentRecord;
  /** The desired states of 1.0.0 and 1.1.0, and the record of 1.2.0 before it ended. */
  let old: { first: string; second: string; announced: string };

  beforeEach(async () => {
    await stage.publish('payments', '1.2.0');
    const key = { announced: '' };
    [agent] = (await deployed(async (order) => {
      if (order.version === '1.2.0')
        key.announced = bodyOf(keys.deployment('dev', 'payments', order.deployment));
      return ['accepted', 'succeeded'];
    })) as [FakeAgent];
    const first = bodyOf(DESIRED);
    await to('1.1.0');
    const second = bodyOf(DESIRED);
    const { record } = await to('1.2.0');
    old = { first, second, ...key };
    newest = (await record.deployments.recent('payments'))[0]?.value as DeploymentRecord;
    const { version, sequence, deployment } = newest;
    agent.underWay = { version, sequence, seen: sequence, deployment, state: 'succeeded' };
  });

  /** The command is refused, and moves no instance. */
  async function refused(work: Promise<unknown>, message: string): Promise<void> {
    const before = deploysHeard(agent).length;
    await expect(work).rejects.toMatchObject({
      code: 'RECORD_DAMAGED',
      message: expect.stringContaining(message),
    });
    expect(deploysHeard(agent).slice(before)).toEqual([]);
  }

  it.each([
    ['restart', restart],
    ['rollback', rollback],
  ] as const)('a %s asks the instances, although their records are deleted, too', async (_, run) => {
    remove(keyOf(newest));
    put(DESIRED, old.second);
    for (const one of stage.cloud.objects(stage.bucket, keys.instances('dev', 'payments'))) remove(one);
    await refused(run(await stage.open(), back), 'most instances of payments run 1.2.0');
  });

  it.each([
    ['restart', restart, 'failed'],
    ['rollback', rollback, 'failed'],
    ['restart', restart, 'accepted'],
  ] as const)(
    'a %s believes no record that was settled by forged reports (%s)',
    async (_verb, run, state) => {
      for (const one of state === 'accepted' ? await records() : []) remove(keyOf(one));
      put(keyOf(newest), old.announced);
      put(DESIRED, old.second);
      forge(newest, state);
      await refused(run(await stage.open(), back), 'most instances of payments run 1.2.0');
    },
  );

  it.each(['as it is', 'put back', 'deleted'])(
    'a watch of an old record with forged reports rolls nothing back, with the desired state %s',
    async (how) => {
      put(keyOf(newest), old.announced);
      if (how === 'put back') put(DESIRED, old.second);
      if (how === 'deleted') remove(DESIRED);
      forge(newest, 'broken');
      const watching = watch(await stage.open(), {
        ...{ deployment: newest.deployment, timeoutMs: 5000, detach: never() },
      });
      await refused(watching, 'the reports in the bucket say that 1.2.0 failed on i-1');
    },
  );

  it('a deployment over an old desired state takes no rollback target from it', async () => {
    await stage.publish('payments', '1.3.0');
    put(DESIRED, old.first);
    await to('1.3.0');
    expect(await desired()).toMatchObject({ version: '1.3.0', previous: '1.2.0' });
  });

  it('nor does one of the same version', async () => {
    const before = bodyOf(DESIRED);
    await to('1.0.0');
    await to('1.2.0');
    put(DESIRED, before);
    await to('1.2.0');
    expect(await desired()).toMatchObject({ version: '1.2.0', previous: '1.0.0' });
  });

  it('folders of the future hide no record, and doctor names them', async () => {
    for (let i = 100; i < 400; i += 1) put(`${DEPLOYMENTS}7ZZZZZZZZZZZZZZZZZZZZZZ${i}/x`, 'x');
    put(DESIRED, old.second);
    await refused(restart(await stage.open(), back), `${newest.deployment} set it to 1.2.0`);
    const { findings } = await doctor(await stage.open(), { service: 'payments' });
    const what = expect.stringMatching(/7ZZZ.* and 299 more are of the future/);
    expect(findings).toContainEqual(expect.objectContaining({ state: 'wrong', what }));
  });
});

it('a forged report of a failure rolls no instance back', async () => {
  const agents = await deployed(
    async (order) => {
      if (agents[0])
        agents[0].underWay = { version: '1.0.0', deployment: order.deployment, state: 'checking' };
      forge(order, 'rolled-back');
      await wait(5000);
      return ['accepted', 'succeeded'];
    },
    () => ['accepted', 'succeeded'],
  );
  const session = await stage.open();
  await expect(deploy(session, options())).rejects.toMatchObject({ code: 'RECORD_DAMAGED' });
  expect(settled(session.events)).toMatchObject([{ outcome: 'failed' }]);
  for (const one of agents) expect(deploysHeard(one).at(-1)).toEqual(['1.1.0', 'deploy']);
}, 30_000);

it('a queue, an index and a lock that are nested too deep are as unreadable ones', async () => {
  await deployed(undefined);
  const deep = '['.repeat(60_000) + ']'.repeat(60_000);
  const at = new Date().toISOString();
  const entry = `{"id":"${newUlid(1)}","who":"m","pid":1,"host":"h","command":"deploy","since":"${at}","beat":1,"x":${deep}}`;
  put(keys.queue('dev', 'payments'), `{"v":1,"nonce":"n","waiting":[${entry}]}`);
  const jumping = options({ queueMode: 'jump', reason: 'test' });
  expect(await deploy(await stage.open(), jumping)).toBe(0);
  const pushed = `{"version":"0.0.1","pushedAt":"${at}","pushedBy":"m","x":${deep}}`;
  put(keys.index('payments'), `{"v":1,"nonce":"n","pushes":[${pushed}]}`);
  expect((await (await stage.open()).record.versions.newest('payments', 3)).sort()).toEqual([
    '1.0.0',
    '1.1.0',
  ]);
  put(keys.lock('dev', 'payments'), `{"v":1,"nonce":"n","sequence":3,"owner":null,"x":${deep}}`);
  await expect(deploy(await stage.open(), options())).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
  await doctor(await stage.open(), { service: 'payments', repair: true });
  expect(await deploy(await stage.open(), options())).toBe(0);
});
