import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findProcess } from '../../agent/host/process/proc.ts';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import type { Behaviour } from '../support/fleet/sample-service/package.ts';
import { openSetup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, attempt, deploy, type Service, type Settings } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/** Services that cannot be stopped or started as they should, under the real programs. */

const manager = { stopTimeout: '1s', startTimeout: '4s' };
const STOP_MS = 1000;
const START_MS = 4000;
/** What the kernel may take over a KILL, a status command over its answer, and this machine over all of it. */
const GENEROUS_MS = 20_000;

const CASES = {
  'ignores-term': { good: { ignoreTerm: true }, next: {} },
  'hangs-on-stop': { good: { hangsOnStop: true }, next: {} },
  'deaf-with-worker': { good: { ignoreTerm: true, worker: true }, next: {} },
  'start-hangs-before': { good: {}, next: { startHangs: 'before' } },
  'start-hangs-after': { good: {}, next: { startHangs: 'after' } },
  'first-is-deaf': { good: undefined, next: { ignoreTerm: true, healthStatus: 500 } },
} as const satisfies Record<string, { good: Behaviour | undefined; next: Behaviour }>;
type Name = keyof typeof CASES;
const NAMES = Object.keys(CASES) as Name[];

// On a machine that does much else, patience and no assertion.
vi.setConfig({ testTimeout: 240_000 });

let fleet: Fleet;
let watch: RecordWatch;
let services: Record<Name, Service>;

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  // Long enough for a slow machine where it should pass, short where it cannot.
  const check = (name: Name) => ({ deadline: name === 'first-is-deaf' ? '3s' : '20s' });
  const settings = NAMES.map((name): [string, Settings] => [name, { manager, check: check(name) }]);
  services = await addServices(fleet, 'i-0a1', Object.fromEntries(settings) as Record<Name, Settings>);
  const setup = await openSetup(fleet);
  await mapLimit(NAMES, 3, async (name) => {
    const { good, next } = CASES[name];
    await setup.pushed(name, '2.0.0', next);
    if (good !== undefined) await setup.deployed(name, '1.0.0', good);
  });
  setup.close();
}, 600_000);
afterAll(() => fleet?.stop());

const pidOf = async ({ dir }: Service) => Number(await readFile(join(dir, 'service.pid'), 'utf8'));

function expectBetween(ms: number | undefined, least: number, most: number): void {
  expect(ms).toBeGreaterThanOrEqual(least);
  expect(ms).toBeLessThan(most);
}

describe('a service that', () => {
  test.each<[string, Name]>([
    ['ignores TERM', 'ignores-term'],
    ['closes its port and then hangs in its stop', 'hangs-on-stop'],
    ['ignores TERM, and has a worker with the port', 'deaf-with-worker'],
  ])('%s is killed at the stop timeout, and the deployment goes on', async (_title, name) => {
    const service = services[name];
    const before = await ask(service);
    const old = [await pidOf(service), before?.pid ?? 0];
    const { report } = await deploy(service, '2.0.0');
    expect(report).toMatchObject({ state: 'succeeded', previous: '1.0.0', changed: true });
    expectBetween(report.timings.start, STOP_MS, STOP_MS + START_MS + GENEROUS_MS);
    for (const pid of old) expect(await findProcess(pid)).toBeUndefined();
    await expectSettled(service, { version: '2.0.0', watch });
    proved('stop-hangs', 'killed after a stop timeout of 1 s, and the new version ran');
  });

  test('ignores TERM and is a first deployment that fails is killed, and nothing is current', async () => {
    const service = services['first-is-deaf'];
    const { report, finished } = await attempt(service, '2.0.0');
    expect(finished.code).toBe(1);
    expect(report).toMatchObject({ state: 'rolled-back', previous: null, error: { code: 'CHECK_FAILED' } });
    expectBetween(report.timings.rollback, STOP_MS, STOP_MS + GENEROUS_MS);
    await expectSettled(service, { version: null, watch });
    proved('stop-hangs', 'a first deployment that failed was killed and taken away');
  });
});

describe('a start command that never returns', () => {
  test.each<[string, Name]>([
    ['is ended at the start timeout', 'start-hangs-before'],
    ['although the service is up, is ended at the start timeout', 'start-hangs-after'],
  ])('%s, and the version before runs again', async (_title, name) => {
    const service = services[name];
    const { report, finished } = await attempt(service, '2.0.0');
    expect(finished.code).toBe(1);
    expect(report).toMatchObject({
      ...{ state: 'rolled-back', previous: '1.0.0' },
      error: { code: 'START_FAILED', message: '/bin/sh was still running after 4.0 s' },
    });
    expectBetween(report.timings.start, START_MS, STOP_MS + START_MS + GENEROUS_MS);
    await expectSettled(service, { version: '1.0.0', watch });
    proved('stop-hangs', 'a start that hung was ended after 4 s and rolled back');
  });
});
