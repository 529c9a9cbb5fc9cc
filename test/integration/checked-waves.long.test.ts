import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cancel } from '../../publisher/commands/cancel.ts';
import { confirm } from '../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../publisher/commands/deploy.ts';
import { pause } from '../../publisher/commands/pause.ts';
import { plan } from '../../publisher/commands/plan.ts';
import { resume } from '../../publisher/commands/resume.ts';
import { rollback } from '../../publisher/commands/rollback.ts';
import { watch } from '../../publisher/commands/watch.ts';
import type { PublisherEvent } from '../../publisher/events.ts';
import { checksOf } from '../../publisher/plan/checks.ts';
import type { Strategy } from '../../publisher/plan/strategy.ts';
import { type FakeCloudWatch, startFakeCloudWatch } from '../support/cloud/fake-cloudwatch.ts';
import type { FakeAgent } from '../support/publisher/fake-agent.ts';
import { HandClock, never, notes, openStage, type Stage } from '../support/publisher/stage.ts';

/** Rollouts with automatic checks, their publishers in this process and their agents simulated: all but the straight ways. */

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let cloudwatch: FakeCloudWatch;
let stage: Stage;
let directory: string;
let agents: FakeAgent[];
beforeEach(async () => {
  [cloudwatch, directory] = await Promise.all([startFakeCloudWatch(), mkdtemp(join(tmpdir(), 'checks-'))]);
  cloudwatch.set('5xx', 'OK');
  const run = ['/bin/sh', '-c', 'echo $TRIGGER_DEPLOY_PHASE >> runs; . ./script'];
  const services = { payments: { alarms: ['5xx'], watchAlarms: '60s', verify: { run, timeout: '30s' } } };
  stage = await openStage({ change: { services, directory } });
  Object.assign(process.env, cloudwatch.env);
  await writeFile(join(directory, 'script'), 'exit 0');
  await Promise.all(['1.0.0', '1.1.0', '1.2.0'].map((version) => stage.publish('payments', version)));
  agents = await Promise.all(
    ['i-1', 'i-2'].map((id) => stage.agent(id, () => ['switching', 'succeeded'], '1.0.0')),
  );
  const first = options({ version: '1.0.0', strategy: { name: 'all' }, checks: undefined });
  expect(await deploy(await stage.open(), first)).toBe(0);
});
afterEach(async () => {
  await Promise.all([stage.close(), cloudwatch.stop(), rm(directory, { recursive: true })]);
});

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: ROLLING, detach: never() },
  ...{ checks: checksOf(stage.env, 'payments'), ...change },
});
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value.version;
const newest = async () => {
  const found = await (await stage.open()).record.deployments.newest('payments');
  if (found === undefined) throw new Error('there is no deployment');
  return found;
};
const record = async (version: string) => {
  const all = await (await stage.open()).record.deployments.list('payments', 9);
  return all.find((one) => one.version === version && one.action === 'deploy');
};
const checksIn = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) =>
    event.type === 'check' ? [`${event.check} ${event.phase ?? ''} ${event.state}`.replace('  ', ' ')] : [],
  );
const runs = async () => (await readFile(join(directory, 'runs'), 'utf8')).split('\n').filter(Boolean);
const heard = () =>
  agents.map((agent) => agent.heard.flatMap((said) => ('version' in said ? [said.version] : [])).at(-1));
const isWatching = (events: readonly PublisherEvent[]) =>
  events.some((event) => event.type === 'check' && event.check === 'alarms' && event.state === 'started');
const until = (look: () => unknown) => expect.poll(look, { timeout: 20_000 }).toBeTruthy();

/** A deployment of 1.1.0 whose publisher detached while it watched the alarms. */
async function detachedInWatch(change: Partial<DeployOptions> = {}): Promise<string> {
  const detach = new AbortController();
  const session = await stage.open();
  const deploying = deploy(session, options({ ...change, detach: detach.signal }));
  await until(() => isWatching(session.events) && checksIn(session.events).includes('verify last passed'));
  detach.abort();
  expect(await deploying).toBe(3);
  return (await newest()).value.deployment;
}

describe('while the alarms are watched after the last wave', () => {
  it('the desired state stays, confirm is refused, a cancel takes back, and nobody else deploys', async () => {
    const session = await stage.open();
    const deploying = deploy(session, options());
    await until(() => isWatching(session.events));
    expect(await desired()).toBe('1.0.0');
    const { deployment } = (await newest()).value;
    await expect(confirm(await stage.open(), { deployment })).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
    });
    await expect(deploy(await stage.open(), options({ version: '1.2.0' }))).rejects.toMatchObject({
      code: 'LOCKED',
    });
    const answer = await cancel(await stage.open(), { deployment, reason: 'slow' });
    expect(answer).toMatchObject({ result: 'cancelled' });
    expect(await deploying).toBe(1);
    expect(heard()).toEqual(['1.0.0', '1.0.0']);
    expect(await record('1.1.0')).toMatchObject({ status: 'cancelled' });
    expect(await desired()).toBe('1.0.0');
  });

  it('an alarm takes back, is recorded, and is told', async () => {
    const session = await stage.open();
    const clock = new HandClock();
    const watched = await stage.open(clock);
    const deploying = clock.during(deploy(watched, options()));
    await until(() => isWatching(watched.events));
    cloudwatch.set('5xx', 'ALARM', { reason: '9 > 5' });
    expect(await deploying).toBe(1);
    expect(checksIn(watched.events).at(-1)).toBe('alarms failed');
    expect(heard()).toEqual(['1.0.0', '1.0.0']);
    const failed = await record('1.1.0');
    expect(failed).toMatchObject({
      status: 'failed',
      checks: { alarms: [{ name: '5xx', insufficientData: 'ignore' }], watchAlarmsMs: 60_000 },
      checked: { alarms: { failed: [{ name: '5xx', state: 'ALARM', reason: '9 > 5' }] } },
    });
    expect(failed?.outcome).toContain('stopped after the last wave: the alarm 5xx is in ALARM (9 > 5)');
    expect(await rollback(session, { ...options(), to: '1.0.0' })).toBe(0);
  });
});

describe('a publisher that stops while the alarms are watched', () => {
  it('is followed by another, which watches them for the whole time again, also during a pause', async () => {
    const deployment = await detachedInWatch();
    const other = await stage.open();
    expect(await watch(other, { deployment, timeoutMs: 1000, detach: never() })).toBe(3);
    expect(other.events.at(-1)).toMatchObject({ text: expect.stringContaining('trigger-deploy resume') });
    expect(await desired()).toBe('1.0.0');
    await pause(await stage.open(), { service: 'payments', reason: 'quarter end' });
    const clock = new HandClock();
    const next = await stage.open(clock);
    expect(await clock.during(resume(next, { deployment, detach: never() }))).toBe(0);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(60_000);
    expect(checksIn(next.events)).toEqual(['alarms started']);
    expect(await runs()).toEqual(['canary', 'last']);
    expect(await desired()).toBe('1.1.0');
  });

  it('before it took back what an alarm stopped: the recorded verdict counts, although the alarm is OK again', async () => {
    const deployment = await detachedInWatch();
    const session = await stage.open();
    const verdict = { at: new Date().toISOString(), failed: [{ name: '5xx', state: 'ALARM' }] };
    const stored = await newest();
    const checked = { ...stored.value.checked, alarms: verdict };
    await session.record.deployments.update(stored, { checked });
    expect(await watch(await stage.open(), { deployment, timeoutMs: 20_000, detach: never() })).toBe(1);
    expect(await record('1.1.0')).toMatchObject({ status: 'failed', rollBackTo: '1.0.0' });
    expect(heard()).toEqual(['1.0.0', '1.0.0']);
  });

  it('leaves a deployment that the next one settles as not succeeded, and goes back past', async () => {
    await detachedInWatch();
    const skip = { checks: checksOf(stage.env, 'payments', true) };
    expect(await deploy(await stage.open(), options({ version: '1.2.0', ...skip }))).toBe(0);
    expect(await record('1.1.0')).toMatchObject({ status: 'timed-out' });
    expect(await record('1.2.0')).toMatchObject({ previous: '1.0.0', checks: { skipped: true } });
  });
});

describe('verify', () => {
  it('that runs is ended when its publisher stops, and runs again when another one continues', async () => {
    await writeFile(join(directory, 'script'), 'echo $$ > pid; sleep 60');
    const detach = new AbortController();
    const session = await stage.open();
    const deploying = deploy(session, options({ detach: detach.signal }));
    const pid = async () => Number(await readFile(join(directory, 'pid'), 'utf8').catch(() => '0'));
    await expect.poll(pid, { timeout: 20_000 }).toBeGreaterThan(0);
    detach.abort();
    expect(await deploying).toBe(3);
    const ended = await pid();
    expect(() => process.kill(ended, 0)).toThrow();
    expect((await newest()).value.checked?.verify).toEqual([
      expect.not.objectContaining({ endedAt: expect.anything() }),
    ]);
    await writeFile(join(directory, 'script'), 'echo broken; exit 7');
    const { deployment } = (await newest()).value;
    expect(await resume(await stage.open(), { deployment, detach: never() })).toBe(1);
    expect(await runs()).toEqual(['canary', 'canary']);
    expect((await record('1.1.0'))?.checked?.verify).toMatchObject([
      { phase: 'canary', passed: false, why: 'exit code 7', output: 'broken\n' },
    ]);
  });

  it('cannot be left out by a machine that has none', async () => {
    const deployment = await detachedInWatch();
    const stored = await newest();
    const checked = { ...stored.value.checked, verify: [] };
    await (await stage.open()).record.deployments.update(stored, { checked });
    const session = await stage.open();
    const bare = { ...session, env: { ...session.env, services: {} } };
    await expect(resume(bare, { deployment, detach: never() })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('demands verify'),
    });
  });

  it('is ended when the deployment is cancelled meanwhile', async () => {
    await writeFile(join(directory, 'script'), 'echo $$ > pid; sleep 60');
    const deploying = deploy(await stage.open(), options());
    const pid = async () => Number(await readFile(join(directory, 'pid'), 'utf8').catch(() => '0'));
    await expect.poll(pid, { timeout: 20_000 }).toBeGreaterThan(0);
    await cancel(await stage.open(), { deployment: (await newest()).value.deployment });
    expect(await deploying).toBe(1);
    const ended = await pid();
    expect(() => process.kill(ended, 0)).toThrow();
  });
});

describe('alarms that cannot be read', () => {
  it('refuse a deployment at its start', async () => {
    cloudwatch.fail({ status: 403, code: 'AccessDenied' });
    await expect(deploy(await stage.open(), options())).rejects.toMatchObject({ code: 'AWS_DENIED' });
    expect((await newest()).value.version).toBe('1.0.0');
  });

  it('hold a rollout: it neither goes on nor back, and another publisher continues it', async () => {
    const session = await stage.open();
    await writeFile(join(directory, 'script'), 'exit 0');
    const deploying = deploy(session, options());
    await until(() => session.events.some(({ type }) => type === 'wave'));
    cloudwatch.fail({ status: 403, code: 'AccessDenied' });
    await expect(deploying).rejects.toMatchObject({ code: 'AWS_DENIED' });
    const { value } = await newest();
    expect(value).toMatchObject({ version: '1.1.0', status: 'announced' });
    expect(value.rolling?.waves.map(({ announcedAt }) => announcedAt !== undefined)).toEqual([true, false]);
    expect(notes(session.events).at(-1)).toContain('trigger-deploy resume');
    cloudwatch.fail({ status: 403, code: 'AccessDenied' }, 0);
    const clock = new HandClock();
    const next = await stage.open(clock);
    expect(await clock.during(resume(next, { deployment: value.deployment, detach: never() }))).toBe(0);
  });

  it('while CloudWatch is down for a while, make the watch begin again', async () => {
    const clock = new HandClock();
    const session = await stage.open(clock);
    const deploying = clock.during(deploy(session, options({ timeoutMs: 600_000 })));
    await until(() => isWatching(session.events));
    const begun = clock.monotonic();
    cloudwatch.fail({ status: 500, code: 'InternalFailure' });
    await until(() => clock.monotonic() > begun + 120_000);
    expect(await desired()).toBe('1.0.0');
    const up = clock.monotonic();
    cloudwatch.fail({ status: 500, code: 'InternalFailure' }, 0);
    expect(await deploying).toBe(0);
    expect(clock.monotonic() - up).toBeGreaterThanOrEqual(60_000);
    expect(checksIn(session.events).filter((one) => one === 'alarms started')).toHaveLength(2);
  });
});

it('plan shows the checks, and what the alarms are now', async () => {
  cloudwatch.set('5xx', 'ALARM', { reason: '9 > 5' });
  const answer = await plan(await stage.open(), options());
  expect(answer).toMatchObject({
    checks: { watchAlarmsMs: 60_000 },
    alarmsNow: { text: 'the alarm 5xx is in ALARM (9 > 5)', refused: true },
  });
});
