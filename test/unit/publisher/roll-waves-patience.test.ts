import { afterEach, beforeEach, expect, it } from 'vitest';
import { confirm } from '../../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../../publisher/commands/pause.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import type { Strategy } from '../../../publisher/strategy.ts';
import { keys } from '../../../shared/names.ts';
import { HandClock, never, openStage, type Stage } from './stage.ts';

/** What a publisher that drives waves does while it has to wait: for people, for the silent, for AWS. */

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let stage: Stage;
let clock: HandClock;
beforeEach(async () => {
  stage = await openStage();
  clock = new HandClock();
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
  for (const instance of ['i-1', 'i-2', 'i-3']) await stage.agent(instance, undefined, '1.0.0');
});
afterEach(() => stage.close());

const options = (strategy: Partial<Strategy>, change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 60_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', detach: never(), ...change },
  strategy: { ...ROLLING, ...strategy } as Strategy,
});
const announced = () => stage.cloud.requests.filter(({ operation }) => operation === 'Publish').length;
const newest = async () => (await (await stage.open()).ledger.deployments.newest('payments'))?.value;
/** An instance that has a record, and no agent. */
function silent(instance: string): void {
  const record = stage.json(keys.instance('dev', 'payments', 'i-1'));
  const key = keys.instance('dev', 'payments', instance);
  stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...record, instance }));
}
async function until(look: () => unknown): Promise<void> {
  await clock.during(
    (async () => {
      while (!(await look())) await clock.sleep(100, never());
    })(),
    50,
  );
}
const passes = (ms: number) => clock.during(clock.sleep(ms, never()));
const has = (events: readonly PublisherEvent[], type: PublisherEvent['type'], words = '') =>
  events.some((event) => event.type === type && JSON.stringify(event).includes(words));

it('whoever was passed over as missing is not told again while it waits at the gate', async () => {
  silent('i-4');
  const session = await stage.open(clock);
  const deploying = deploy(session, options({ canary: undefined, gate: 'person' }, { allowMissing: 1 }));
  await until(() => has(session.events, 'waiting'));
  const before = announced();
  await passes(60_000);
  expect(announced()).toBe(before);
  await confirm(await stage.open(), { deployment: (await newest())?.deployment ?? '' });
  expect(await clock.during(deploying)).toBe(0);
  expect((await newest())?.rolling?.missing).toEqual(['i-4']);
});

it('whoever has not switched yet is told again, but not while it is paused', async () => {
  const deaf = await stage.agent('i-4', () => [], '1.0.0');
  const orders = () => deaf.heard.filter(({ kind }) => kind === 'deploy');
  const session = await stage.open(clock);
  const deploying = deploy(session, options({ canary: { count: 4 } }));
  await until(() => has(session.events, 'wave'));
  const told = clock.monotonic();
  await until(() => orders().length > 0);
  await pause(await stage.open(), { service: 'payments', reason: 'incident' });
  await until(() => has(session.events, 'note', 'incident'));
  await passes(told + 9000 - clock.monotonic());
  expect(orders()).toHaveLength(1);
  await unpause(await stage.open(), { service: 'payments' });
  await until(() => orders().length > 1);
  expect(await clock.during(deploying)).toBe(3);
});
