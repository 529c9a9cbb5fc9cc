import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../../../publisher/commands/pause.ts';
import { restart } from '../../../../publisher/commands/restart.ts';
import { status } from '../../../../publisher/commands/status.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { pauseLines } from '../../../../publisher/render/pause.ts';
import { statusLines, statusTable } from '../../../../publisher/render/status.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { keys } from '../../../../shared/names.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
let agent: FakeAgent;
beforeEach(async () => {
  stage = await openStage();
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
  agent = await stage.agent('i-1', undefined, '1.0.0');
});
afterEach(() => stage.close());

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.0.0', wait: true, timeoutMs: 20_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
});
const deployed = async (change?: Partial<DeployOptions>) => await deploy(await stage.open(), options(change));
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;
/** All that publishers write of the service, but for what instances say of themselves. */
const record = () =>
  stage.cloud.objects(stage.bucket, 'state/').filter((key) => !key.includes('/instances/'));

describe('a pause', () => {
  it('does not say that the agents were notified when SNS does not take the announcement', async () => {
    await deployed();
    stage.cloud.fail('unavailable', ({ operation }) => operation === 'Publish', 1000);
    const session = await stage.open();
    const answer = await pause(session, { service: 'payments', reason: 'incident 4711' });
    expect(pauseLines(answer)).toEqual(['payments in dev is paused: incident 4711']);
    expect(notes(session.events).join()).toContain('agents read it by themselves within minutes');
  });

  it('of a service refuses deployments and restarts, with who paused it, why, since when, and how to unpause', async () => {
    await deployed();
    const session = await stage.open();
    const answer = await pause(session, { service: 'payments', reason: 'incident 4711' });
    expect(answer).toMatchObject({ changed: true, told: ['payments'] });
    expect(pauseLines(answer)).toEqual([
      'payments in dev is paused: incident 4711',
      '  agents notified: payments',
    ]);
    const before = record();
    for (const work of [
      async () => await deployed({ version: '1.1.0' }),
      async () => await restart(await stage.open(), options()),
    ]) {
      await expect(work()).rejects.toMatchObject({
        code: 'PAUSED',
        message: expect.stringMatching(
          new RegExp(`^payments is paused in dev by ${session.who} since 20.*ago: incident 4711$`),
        ),
        hint: 'to unpause: trigger-deploy unpause payments --env dev',
      });
    }
    expect(record()).toEqual(before);
    expect(agent.heard.filter((said) => said.kind === 'deploy')).toHaveLength(1);
  });

  it('of the environment applies to every service, also to one that was never deployed', async () => {
    await stage.publish('ledger', '1.0.0');
    await deployed();
    expect(await pause(await stage.open(), { reason: 'quarter end' })).toMatchObject({ told: ['payments'] });
    for (const service of ['payments', 'ledger']) {
      await expect(deployed({ service })).rejects.toMatchObject({
        code: 'PAUSED',
        message: expect.stringMatching(/^all of dev is paused by .*: quarter end$/),
        hint: 'to unpause: trigger-deploy unpause --env dev',
      });
    }
  });

  it('reaches the agents through the desired state at once, and unpause removes it', async () => {
    await deployed();
    const before = await desired();
    await pause(await stage.open(), { service: 'payments', reason: 'audit' });
    expect(await desired()).toMatchObject({
      ...{ version: '1.0.0', sequence: before?.sequence, deployment: before?.deployment },
      pause: { reason: 'audit' },
    });
    await expect.poll(() => agent.heard.at(-1)?.kind).toBe('converge');
    const lifted = await unpause(await stage.open(), { service: 'payments' });
    expect(lifted.text).toBe('payments in dev is no longer paused');
    expect(await desired()).not.toHaveProperty('pause');
    expect(await deployed({ version: '1.1.0' })).toBe(0);
  });

  it('of service and environment ends only when both are unpaused', async () => {
    await deployed();
    await pause(await stage.open(), { reason: 'quarter end' });
    await pause(await stage.open(), { service: 'payments', reason: 'audit' });
    expect((await desired())?.pause?.reason).toBe('quarter end');
    await unpause(await stage.open(), {});
    expect((await desired())?.pause?.reason).toBe('audit');
    await expect(deployed()).rejects.toMatchObject({
      code: 'PAUSED',
      message: expect.stringContaining('audit'),
    });
    await unpause(await stage.open(), { service: 'payments' });
    expect(await deployed()).toBe(0);
  });

  it('that exists already is not overwritten; the record keeps who paused and unpaused, and when', async () => {
    await deployed();
    await pause(await stage.open(), { service: 'payments', reason: 'first' });
    const second = await pause(await stage.open(), { service: 'payments', reason: 'second' });
    expect(second).toMatchObject({ changed: false, text: expect.stringContaining(': first') });
    await unpause(await stage.open(), { service: 'payments', reason: 'over' });
    expect(await unpause(await stage.open(), { service: 'payments' })).toMatchObject({
      changed: false,
      text: 'payments in dev was not paused',
    });
    const changes = await (await stage.open()).record.pauses.changes('payments');
    expect(changes.map(({ paused, reason }) => [paused, reason])).toEqual([
      [true, 'first'],
      [false, 'over'],
    ]);
  });

  it('whose publisher stopped halfway is completed by the next pause', async () => {
    await deployed();
    const dying = await stage.open();
    await dying.record.pauses.write('payments', {
      ...{ paused: true, by: 'ann', at: new Date().toISOString(), reason: 'audit' },
    });
    expect(await desired()).not.toHaveProperty('pause');
    const again = await pause(await stage.open(), { service: 'payments', reason: 'again' });
    expect(again).toMatchObject({ changed: false, told: ['payments'] });
    expect((await desired())?.pause).toMatchObject({ by: 'ann', reason: 'audit' });
  });

  it.each([
    ['forged', async () => 'not.a.pause'],
    ['of another service', async () => await signedPause('ledger')],
  ])('that is %s counts, and unpause writes a true one', async (_title, text) => {
    await deployed();
    stage.cloud.putObject(stage.bucket, keys.servicePause('dev', 'payments'), await text());
    await expect(deployed()).rejects.toMatchObject({
      code: 'PAUSED',
      message: expect.stringContaining(
        'the pause document cannot be verified, which counts as a pause: state/dev/payments/pause.jws',
      ),
    });
    await unpause(await stage.open(), { service: 'payments' });
    expect(await deployed()).toBe(0);
  });

  it('is shown by status', async () => {
    await deployed();
    await pause(await stage.open(), { service: 'payments', reason: 'audit' });
    const answer = await status(await stage.open(), { service: 'payments' });
    expect(statusTable(answer, { columns: 200, paint: plain })[0]).toMatch(/ · PAUSED by \S+: audit$/);
    expect(statusLines(answer)[0]).toContain(' PAUSED ');
  });

  it('of an unknown service is refused', async () => {
    await expect(pause(await stage.open(), { service: 'paymnets', reason: 'x' })).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
    });
  });
});

async function signedPause(service: string): Promise<string> {
  const changes = [{ paused: false, by: 'ann', at: new Date().toISOString() }];
  const value = { v: 1, env: 'dev', service, changes, nonce: 'n' };
  return await (await (await stage.open()).signer()).sign('td-pause+jws', value);
}

it('a rolling deployment starts no wave while it is paused, and continues afterwards', async () => {
  await stage.agent('i-2', undefined, '1.0.0');
  await deployed();
  const session = await stage.open();
  const strategy: Strategy = { ...ROLLING, gate: 'time', autoConfirmMs: 1500 };
  const deploying = deploy(session, options({ version: '1.1.0', strategy }));
  await expect
    .poll(() => session.events.some(({ type }) => type === 'waiting'), { timeout: 10_000 })
    .toBe(true);
  await pause(await stage.open(), { service: 'payments', reason: 'hold on' });
  await expect
    .poll(() => notes(session.events).join(), { timeout: 10_000 })
    .toContain('hold on; no further instance');
  const waves = () => session.events.filter(({ type }) => type === 'wave').length;
  const rolling = async () => (await session.record.deployments.newest('payments'))?.value.rolling;
  // Time would have opened the gate by now.
  await expect
    .poll(async () => Date.now() - Date.parse((await rolling())?.awaitingSince ?? ''), { timeout: 10_000 })
    .toBeGreaterThan(2500);
  expect(waves()).toBe(1);
  await unpause(await stage.open(), { service: 'payments' });
  expect(await deploying).toBe(0);
  expect(waves()).toBe(2);
  expect(await desired()).toMatchObject({ version: '1.1.0' });
}, 40_000);
