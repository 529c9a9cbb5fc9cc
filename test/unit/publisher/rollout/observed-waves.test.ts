import { afterEach, beforeEach, expect, it } from 'vitest';
import { confirm } from '../../../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../../../publisher/commands/pause.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import { openNotices } from '../../../../publisher/notify/notice.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

const GATED: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'person', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let stage: Stage;
let driver: Awaited<ReturnType<Stage['open']>>;
let deploying: Promise<number>;
let id: string;
/** A rollout that another publisher drives, at its gate. */
beforeEach(async () => {
  stage = await openStage();
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
  for (const instance of ['i-1', 'i-2', 'i-3']) await stage.agent(instance, undefined, '1.0.0');
  const options = (change: Partial<DeployOptions>): DeployOptions => ({
    ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
    ...{ maxFailures: 0, onFailure: 'rollback', strategy: GATED, detach: never(), ...change },
  });
  const first = options({ version: '1.0.0', strategy: { name: 'all' } });
  expect(await deploy(await stage.open(), first)).toBe(0);
  driver = await stage.open();
  deploying = deploy(driver, options({}));
  deploying.catch(() => undefined);
  await until(() => driver.events.some((event) => event.type === 'waiting'));
  id = (await driver.record.deployments.newest('payments'))?.value.deployment ?? '';
}, 60_000);
afterEach(async () => await stage.close());

const until = (look: () => unknown) => expect.poll(look, { timeout: 20_000 }).toBeTruthy();
const goOn = async () => {
  await confirm(await stage.open(), { deployment: id });
  expect(await deploying).toBe(0);
};

it('a watch shows the waves, the gate with the command that opens it, the pause, and what follows', async () => {
  const session = await stage.open();
  const watching = watch(session, { deployment: id, timeoutMs: 60_000, detach: never() });
  await until(() => session.events.some((event) => event.type === 'waiting'));
  const stages = () => session.events.filter(({ type }) => type === 'wave' || type === 'waiting');
  const command = `trigger-deploy confirm ${id} --env dev`;
  expect(stages()).toMatchObject([
    { type: 'wave', wave: 1, of: 3, kind: 'canary' },
    { type: 'waiting', deployment: id, after: 1, command },
  ]);
  await pause(await stage.open(), { service: 'payments', reason: 'audit' });
  await until(() =>
    notes(session.events).some((text) => text.includes('audit; no further instance switches')),
  );
  await unpause(await stage.open(), { service: 'payments' });
  await until(() => notes(session.events).includes('unpaused; continuing'));
  await goOn();
  expect(await watching).toBe(0);
  const driven = driver.events.filter(({ type }) => type === 'wave');
  const seen = stages().filter(({ type }) => type === 'wave');
  expect(seen.slice(0, 2)).toMatchObject(driven.slice(0, 2).map(({ at: _, ...wave }) => wave));
  expect(notes(session.events).join()).toContain('confirmed by ');
}, 60_000);

it('a watch that times out says that the deployment waits for a person, with the command to confirm', async () => {
  const clock = new HandClock();
  const session = await stage.open(clock);
  const watched = watch(session, { deployment: id, timeoutMs: 20_000, detach: never() });
  expect(await clock.during(watched)).toBe(3);
  expect(session.events.at(-1)).toMatchObject({
    ...{ type: 'settled', outcome: 'timed-out', shown: true },
    text: expect.stringMatching(
      new RegExp(`; waiting for a person: trigger-deploy confirm ${id} --env dev$`),
    ),
  });
  await goOn();
}, 60_000);

it('a watch sends no notice of the gate: the publisher that drives the deployment does', async () => {
  const session = await stage.open();
  const notices = openNotices(session);
  const watching = watch(session, { deployment: id, timeoutMs: 60_000, detach: never() });
  await until(() => session.events.some((event) => event.type === 'waiting'));
  await goOn();
  expect(await watching).toBe(0);
  expect(session.events.map((event) => notices.of(event)).filter((notice) => notice !== undefined)).toEqual(
    [],
  );
  const own = openNotices(driver);
  expect(driver.events.flatMap((event) => own.of(event)?.type ?? [])).toEqual([
    'started',
    'waiting',
    'succeeded',
  ]);
}, 60_000);
