import { afterEach, beforeEach, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { plan } from '../../../../publisher/commands/plan.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import { commonVersion } from '../../../../publisher/rollout/targets.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

/** What is for some instances only. */

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  for (const version of ['1.0.0', '1.1.0', '2.0.0']) await stage.publish('payments', version);
  await stage.agent('i-1', undefined, '1.0.0');
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
});
afterEach(() => stage.close());

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '2.0.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
});
const IN_WAVES: DeployOptions['strategy'] = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
const where = { stack: 'pr-1' };
const mine = (instance: string, running: string, fails = false): Promise<FakeAgent> =>
  stage.agent(
    instance,
    ({ version }) =>
      version === '2.0.0' && fails ? ['switching', 'rolled-back'] : ['switching', 'succeeded'],
    running,
    { tags: where },
  );
const newest = async () => (await (await stage.open()).record.deployments.newest('payments'))?.value;
const versionsAnnounced = (agent: FakeAgent) => [
  ...new Set(agent.heard.flatMap((said) => ('version' in said && said.targets ? [said.version] : []))),
];

it.each([
  ['at once', options().strategy],
  ['in waves', IN_WAVES],
] as const)(
  'selected instances that fail %s roll back to the version they ran, not to the one that the others run',
  async (_title, strategy) => {
    const agents = [await mine('i-7', '1.1.0'), await mine('i-8', '1.1.0', true)];
    expect((await plan(await stage.open(), options({ where, strategy }))).previous).toBe('1.1.0');
    expect(await deploy(await stage.open(), options({ where, strategy }))).toBe(1);
    expect(await newest()).toMatchObject({
      ...{ action: 'rollback', version: '1.1.0', status: 'succeeded', targets: ['i-7', 'i-8'] },
    });
    for (const agent of agents) expect(versionsAnnounced(agent)).toEqual(['2.0.0', '1.1.0']);
    expect((await (await stage.open()).record.desired.read('payments'))?.value.version).toBe('1.0.0');
  },
);

it('selected instances that ran different versions are not rolled back, and a warning says so', async () => {
  const agents = [await mine('i-7', '1.1.0'), await mine('i-8', '1.0.0', true)];
  const session = await stage.open();
  expect(await deploy(session, options({ where }))).toBe(1);
  expect(await newest()).toMatchObject({
    action: 'deploy',
    version: '2.0.0',
    status: 'failed',
    previous: null,
  });
  expect(notes(session.events).join()).toMatch(
    /run different versions \(1\.1\.0, 1\.0\.0\): .*not rolled back/,
  );
  for (const agent of agents) expect(versionsAnnounced(agent)).toEqual(['2.0.0']);
});

it('selected instances that fail are not rolled back again by a publisher that did not wait: nothing is to undo', async () => {
  await mine('i-7', '1.1.0', true);
  const session = await stage.open();
  expect(await deploy(session, options({ where, wait: false }))).toBe(0);
  const id = (await newest())?.deployment ?? '';
  expect(await watch(await stage.open(), { deployment: id, timeoutMs: 30_000, detach: never() })).toBe(1);
  expect(await newest()).toMatchObject({ deployment: id, status: 'failed', desiredFirst: false });
});

it('an instance of --only that lacks a tag of --where is refused: neither option narrows the other', async () => {
  await mine('i-7', '1.1.0');
  const both = options({ where, only: ['i-1', 'i-7'] });
  await expect(deploy(await stage.open(), both)).rejects.toMatchObject({
    code: 'INSTANCE_NOT_FOUND',
    message: '--only names i-1, without the tags stack=pr-1',
  });
  expect((await newest())?.version).toBe('1.0.0');
  expect(await deploy(await stage.open(), options({ where, only: ['i-7'] }))).toBe(0);
});

it('the common version is one version, or none', () => {
  const run = (...versions: (string | null)[]) => commonVersion(versions.map((version) => ({ version })));
  expect([run('1', '1'), run('1', '2'), run(null, '1'), run(null), run()]).toEqual([
    '1',
    null,
    null,
    null,
    null,
  ]);
});
