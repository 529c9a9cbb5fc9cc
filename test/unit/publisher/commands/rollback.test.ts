import { afterEach, beforeEach, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { pause } from '../../../../publisher/commands/pause.ts';
import { type RollbackOptions, rollback } from '../../../../publisher/commands/rollback.ts';
import { keys } from '../../../../shared/names.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
let agent: FakeAgent;
beforeEach(async () => {
  stage = await openStage();
  agent = await stage.agent('i-1');
});
afterEach(async () => await stage.close());

const options = (change: Partial<RollbackOptions> = {}): RollbackOptions => ({
  ...{ service: 'payments', wait: true, timeoutMs: 60_000, allowMissing: 0, detach: never() },
  ...change,
});

async function deployed(...versions: string[]): Promise<void> {
  for (const version of versions) {
    await stage.publish('payments', version);
    const policy = { maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' } } as const;
    expect(await deploy(await stage.open(), { ...options(), ...policy, version })).toBe(0);
  }
}
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;

it('is a new deployment of the version before, to all instances, with a higher sequence', async () => {
  await deployed('1.0.0', '1.1.0');
  const session = await stage.open();
  expect(await rollback(session, options({ reason: 'slow' }))).toBe(0);
  expect(session.events[0]).toMatchObject({
    ...{ type: 'started', action: 'rollback', version: '1.0.0', previous: '1.1.0', sequence: 3 },
    reason: 'slow',
  });
  const said = agent.heard.filter((one) => one.kind === 'deploy').at(-1);
  expect(said).toMatchObject({ action: 'rollback', version: '1.0.0', sequence: 3 });
  expect(said).not.toHaveProperty('targets');
  expect(await desired()).toMatchObject({ version: '1.0.0', sequence: 3, action: 'rollback' });
});

it('writes the desired state before it announces', async () => {
  await deployed('1.0.0', '1.1.0');
  const before = stage.cloud.requests.length;
  await rollback(await stage.open(), options());
  const asked = stage.cloud.requests.slice(before);
  const written = asked.findIndex((one) => one.operation === 'PutObject' && one.key?.endsWith('desired.jws'));
  // Before it a roll call is published; nothing after it.
  const published = asked.findLastIndex((one) => one.operation === 'Publish');
  expect(written).toBeGreaterThan(-1);
  expect(written).toBeLessThan(published);
});

it('a second one returns one version further, not forward again', async () => {
  await deployed('1.0.0', '1.1.0', '1.2.0');
  await rollback(await stage.open(), options());
  expect(await desired()).toMatchObject({ version: '1.1.0' });
  await rollback(await stage.open(), options());
  expect(await desired()).toMatchObject({ version: '1.0.0' });
  await expect(rollback(await stage.open(), options())).rejects.toMatchObject({
    code: 'NOTHING_TO_ROLL_BACK_TO',
    hint: expect.stringContaining('--to'),
  });
});

it('returns to the version of --to, if it exists', async () => {
  await deployed('1.0.0', '1.1.0', '1.2.0');
  expect(await rollback(await stage.open(), options({ to: '1.0.0' }))).toBe(0);
  expect(await desired()).toMatchObject({ version: '1.0.0' });
  await expect(rollback(await stage.open(), options({ to: '0.1.0' }))).rejects.toMatchObject({
    code: 'VERSION_NOT_FOUND',
  });
});

it('of a service that was never deployed is refused and frees the lock', async () => {
  await expect(rollback(await stage.open(), options())).rejects.toMatchObject({
    code: 'NOTHING_TO_ROLL_BACK_TO',
    message: 'payments was never deployed in dev',
  });
  expect(stage.json(keys.lock('dev', 'payments'))?.owner).toBeNull();
});

it('that fails exits with 1, and is not itself rolled back', async () => {
  await deployed('1.0.0', '1.1.0');
  await stage.agent('i-2', () => ['accepted', { state: 'broken', code: 'START_FAILED' }]);
  expect(await rollback(await stage.open(), options())).toBe(1);
  expect(await desired()).toMatchObject({ version: '1.0.0' });
  expect(await (await stage.open()).record.deployments.list('payments', 10)).toHaveLength(3);
});

it('with --no-wait only announces', async () => {
  await deployed('1.0.0', '1.1.0');
  expect(await rollback(await stage.open(), options({ wait: false }))).toBe(0);
  expect(await desired()).toMatchObject({ version: '1.0.0' });
  await expect.poll(() => agent.heard.at(-1)).toMatchObject({ action: 'rollback' });
});

it('writes the desired state without the pause, so that an instance that misses the announcement converges', async () => {
  await deployed('1.0.0', '1.1.0');
  const session = await stage.open();
  await pause(session, { service: 'payments', reason: 'audit' });
  expect(await desired()).toMatchObject({ version: '1.1.0', pause: { reason: 'audit' } });
  await expect(rollback(session, options())).rejects.toMatchObject({
    code: 'PAUSED',
    hint: expect.stringContaining('--despite-pause'),
  });
  expect(await rollback(session, options({ despitePause: true, reason: 'it burns' }))).toBe(0);
  expect(await desired()).toMatchObject({ version: '1.0.0' });
  expect(await desired()).not.toHaveProperty('pause');
  const record = (await session.record.deployments.newest('payments'))?.value;
  expect(record).toMatchObject({ reason: 'it burns', despitePause: { reason: 'audit', by: session.who } });
});
