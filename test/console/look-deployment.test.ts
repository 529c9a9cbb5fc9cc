import { afterEach, beforeEach, expect, it } from 'vitest';
import { cancel } from '../../publisher/commands/cancel.ts';
import { confirm } from '../../publisher/commands/confirm.ts';
import { deploy } from '../../publisher/commands/deploy.ts';
import type { DeploymentView, LiveMessage } from '../../publisher/console/api.ts';
import { openDeploymentLook } from '../../publisher/console/looks/look-deployment.ts';
import { createEventHub, type EventHub } from '../../publisher/console/runs/own-events.ts';
import type { Strategy } from '../../publisher/plan/strategy.ts';
import type { Session } from '../../publisher/session.ts';
import { keys } from '../../shared/names.ts';
import { options } from '../support/publisher/deploy-fixture.ts';
import { openStage, type Stage } from '../support/publisher/stage.ts';

/** The page of one deployment, over the embedded cloud. */

const GATED: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'person', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let stage: Stage;
let end: AbortController;
let runs: EventHub;
beforeEach(async () => {
  stage = await openStage();
  end = new AbortController();
  runs = createEventHub();
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
});
afterEach(async () => {
  end.abort();
  await stage.close();
});

const until = (look: () => unknown) => expect.poll(look).toBeTruthy();

async function rolledOut(...instances: string[]): Promise<void> {
  for (const instance of instances) await stage.agent(instance, undefined, '1.0.0');
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
}

/** A rollout at its gate, and how it is detached. */
async function atTheGate() {
  const session = await stage.open();
  const detach = new AbortController();
  const deploying = deploy(session, options({ strategy: GATED, detach: detach.signal }));
  deploying.catch(() => undefined);
  await until(() => session.events.some(({ type }) => type === 'waiting'));
  const started = session.events.find(({ type }) => type === 'started');
  if (started?.type !== 'started') throw new Error('it has not started');
  return { deployment: started.deployment, deploying, detach, session };
}

async function look(deployment: string, session?: Session) {
  const shown: LiveMessage[] = [];
  const from = session ?? { ...(await stage.open()), env: { ...stage.env, signingKey: undefined } };
  const open = openDeploymentLook(async () => from, { service: 'payments', deployment }, runs);
  const subject = await open((message) => shown.push(message), end.signal);
  const view = (): DeploymentView => {
    const message = subject.snapshot();
    if (message.type !== 'deployment') throw new Error(message.type);
    return message.view;
  };
  return { shown, view, types: () => view().events.map(({ type }) => type) };
}

it('shows a rollout that another publisher drives, from its gate to its end, and then reads nothing more', async () => {
  await rolledOut('i-1', 'i-2');
  const { deployment, deploying } = await atTheGate();
  const { view, shown, types } = await look(deployment);
  expect(types()).toEqual(expect.arrayContaining(['started', 'wave', 'waiting', 'report']));
  expect(view()).toMatchObject({
    driver: { state: 'held', beatAt: expect.any(Number) },
    underWay: { done: 1, of: 2, wave: { now: 1, of: 2 }, waiting: { after: 1 } },
    decisions: [],
    sequence: 1,
  });
  expect(view().driver.isHere).toBe(true);
  await confirm(await stage.open(), { deployment, reason: 'ok' });
  await until(() => view().decisions.length > 0);
  expect(view().decisions).toMatchObject([{ kind: 'confirm', reason: 'ok' }]);
  expect(await deploying).toBe(0);
  await until(() => types().includes('settled'));
  expect(view()).toMatchObject({ record: { status: 'succeeded' } });
  expect(view().underWay).toBeUndefined();
  await until(() => shown.at(-1)?.type === 'deployment');
  const asked = stage.cloud.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect(stage.cloud.requests.length).toBe(asked);
});

it('what this console drives is shown at once, and only once', async () => {
  await rolledOut('i-1', 'i-2');
  const { deployment, deploying, session } = await atTheGate();
  for (const event of session.events) runs.tell('run', event);
  const { shown, view } = await look(deployment);
  const report = view().events.find(({ type }) => type === 'report');
  if (report?.type !== 'report') throw new Error('no report');
  const now = { ...report.report, instance: 'i-2', state: 'checking' as const, n: 50 };
  runs.tell('run', { type: 'report', at: Date.now(), report: now });
  await until(() => shown.some((one) => one.type === 'events'));
  expect(view().events.filter(({ type }) => type === 'wave')).toHaveLength(1);
  expect(view().events).toContainEqual(expect.objectContaining({ report: now }));
  await cancel(await stage.open(), { deployment, reason: 'no' });
  await deploying;
});

it('looking changes nothing: undriven, failed, cancelled, without its record, or forged', async () => {
  await rolledOut('i-1', 'i-2');
  const undriven = await atTheGate();
  undriven.detach.abort();
  await undriven.deploying;
  const key = (id: string) => keys.deployment('dev', 'payments', id);
  const record = stage.cloud.object(stage.bucket, key(undriven.deployment))?.body ?? Buffer.alloc(0);

  await looksOnly(async () => {
    const { view } = await look(undriven.deployment);
    expect(view()).toMatchObject({ driver: { state: 'none' }, underWay: { resumable: true } });
  });
  await cancel(await stage.open(), { deployment: undriven.deployment, reason: 'no' });
  await looksOnly(async () => {
    const { view } = await look(undriven.deployment);
    expect(view()).toMatchObject({ decisions: [{ kind: 'cancel', reason: 'no' }] });
  });
  const refused = async (code: string) =>
    await expect(look(undriven.deployment)).rejects.toMatchObject({ code });
  const forged = record.toString().replace(/\.[^.]{8}/, '.AAAAAAAA');
  stage.cloud.putObject(stage.bucket, key(undriven.deployment), forged);
  await looksOnly(() => refused('SIGNATURE_INVALID'), false);
  stage.cloud.deleteObject(stage.bucket, key(undriven.deployment));
  await looksOnly(() => refused('DEPLOYMENT_NOT_FOUND'), false);
});

/** Plays `work` and a few polls after it, and compares all objects before and after. */
async function looksOnly(work: () => Promise<unknown>, polls = true): Promise<void> {
  const { cloud, bucket } = stage;
  const listing = () => cloud.objects(bucket).map((key) => [key, cloud.object(bucket, key)?.etag]);
  const before = listing();
  const asked = cloud.requests.length;
  await work();
  const opened = cloud.requests.length;
  if (polls) await until(() => cloud.requests.length > opened + 3);
  expect(listing()).toEqual(before);
  const operations = new Set(cloud.requests.slice(asked).map(({ operation }) => operation));
  expect([...operations].filter((name) => !/^(Get|List|Head)/.test(name))).toEqual([]);
  end.abort();
  end = new AbortController();
}

it('a read that fails is said, and what follows is shown once it succeeds again', async () => {
  await rolledOut('i-1', 'i-2');
  const { deployment, deploying } = await atTheGate();
  const { shown, types } = await look(deployment);
  const key = keys.deployment('dev', 'payments', deployment);
  const stored = stage.cloud.object(stage.bucket, key)?.body ?? Buffer.alloc(0);
  stage.cloud.deleteObject(stage.bucket, key);
  await until(() => shown.some(({ type }) => type === 'trouble'));
  stage.cloud.putObject(stage.bucket, key, stored);
  await until(() => shown.at(-1)?.type === 'deployment' || shown.at(-1)?.type === 'progress');
  await confirm(await stage.open(), { deployment });
  await deploying;
  await until(() => types().includes('settled'));
});
