import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { type RollbackOptions, rollback } from '../../../../publisher/commands/rollback.ts';
import type { Environment } from '../../../../publisher/config/load.ts';
import { strategyOf } from '../../../../publisher/plan/strategy.ts';
import { keys } from '../../../../shared/names.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

/** Where an environment demands a proof, or a person, for what is new in it. */

let dev: Stage;
let prd: Stage;
beforeEach(async () => {
  dev = await openStage();
  prd = await openStage({ name: 'prd', within: dev });
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '2.0.0']) await prd.publish('payments', version);
});
afterEach(async () => {
  await prd.close();
  await dev.close();
});

const demanding = async (change: Partial<Environment>, clock?: HandClock) => {
  const session = await prd.open(clock);
  return { ...session, env: { ...session.env, ...change } };
};
const going = { service: 'payments', wait: true, timeoutMs: 30_000, allowMissing: 0, detach: never() };
const options = (version: string): DeployOptions => ({
  ...going,
  ...{ version, maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' } },
});
const back = (to: string): RollbackOptions => ({ ...going, to });
const desired = async () => (await (await prd.open()).record.desired.read('payments'))?.value.version;
const deployments = async () => await (await prd.open()).record.deployments.list('payments', 20);

describe('a rollback with --to', () => {
  beforeEach(async () => {
    await prd.agent('i-1');
    for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
      expect(await deploy(await prd.open(), options(version))).toBe(0);
    }
  }, 60_000);

  it('to a version that ran here, however long ago, is allowed whatever the environment requires', async () => {
    const session = await demanding({ requires: 'dev', confirm: 'person' });
    for (const version of ['1.0.0', '1.2.0', '1.1.0']) {
      expect(await rollback(session, back(version))).toBe(0);
      expect(await desired()).toBe(version);
    }
  }, 60_000);

  it('to a version that never ran here must meet the same requires: as a deployment', async () => {
    await expect(rollback(await demanding({ requires: 'dev' }), back('2.0.0'))).rejects.toMatchObject({
      code: 'NOT_PROVEN',
      message: expect.stringMatching(/^prd requires that payments 2\.0\.0 has succeeded in dev/),
    });
    expect(await desired()).toBe('1.2.0');
    expect(await deployments()).toHaveLength(3);
    expect(prd.json(keys.lock('prd', 'payments'))?.owner).toBeNull();
    await dev.publish('payments', '2.0.0');
    await dev.agent('i-dev');
    expect(await deploy(await dev.open(), options('2.0.0'))).toBe(0);
    expect(await rollback(await demanding({ requires: 'dev' }), back('2.0.0'))).toBe(0);
    expect(await desired()).toBe('2.0.0');
  }, 60_000);

  it('to a version that never ran here is refused where a person must confirm new versions', async () => {
    await expect(rollback(await demanding({ confirm: 'person' }), back('2.0.0'))).rejects.toMatchObject({
      code: 'NOT_PROVEN',
      message: 'payments 2.0.0 never ran in prd, where a person must confirm new versions',
      hint: expect.stringContaining('trigger-deploy payments 2.0.0 --env prd'),
    });
    expect(await desired()).toBe('1.2.0');
    expect(await rollback(await prd.open(), back('2.0.0'))).toBe(0);
  }, 60_000);
});

describe('a first version, before any instance is known', () => {
  const first = async (ask?: DeployOptions['gate'], clock?: HandClock) => {
    const session = await demanding({ confirm: 'person' }, clock);
    const strategy = strategyOf(session.env, 'payments', {});
    return {
      session,
      deploying: deploy(session, { ...options('1.0.0'), strategy, gate: ask, confirmEmpty: ask }),
    };
  };

  it('is refused where a person must confirm and there is no terminal', async () => {
    const { deploying } = await first();
    await expect(deploying).rejects.toMatchObject({
      code: 'INSTANCE_NOT_FOUND',
      message: expect.stringContaining('a person must confirm'),
    });
    expect(await desired()).toBeUndefined();
    expect(await deployments()).toEqual([]);
    expect(prd.json(keys.lock('prd', 'payments'))?.owner).toBeNull();
  }, 60_000);

  it('is set when the person at the terminal says yes, and not set at no', async () => {
    const refused = await first(async () => false);
    await expect(refused.deploying).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(notes(refused.session.events).join()).toContain('the first instance will run 1.0.0');
    expect(await desired()).toBeUndefined();
    const clock = new HandClock();
    const asked = await first(async () => {
      expect(await desired()).toBeUndefined();
      return true;
    }, clock);
    expect(await clock.during(asked.deploying)).toBe(3);
    expect(await desired()).toBe('1.0.0');
  }, 60_000);
});
