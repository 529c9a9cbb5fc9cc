import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import type { Behaviour } from '../support/fleet/sample-service/package.ts';
import { openSetup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, attempt, type Outcome, type Service, type Settings } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/**
 * Versions that are unhealthy in every way, each deployed over a good one by the real programs. They mostly wait, so
 * they do it side by side: a service for each, all on one instance.
 */

interface Case {
  settings?: Settings;
  good?: Behaviour;
  bad: Behaviour;
}

const short = { deadline: '10s' };

const CASES = {
  'flaps-in-a-row': { settings: { check: short }, bad: { flaps: true } },
  'flaps-once': { settings: { check: { successes: 1 } }, bad: { flaps: true } },
  'one-503-in-check': { settings: { check: { successes: 3 } }, bad: { failsOnceAt: 2 } },
  'one-503-in-watch': { bad: { failsOnceAt: 3 } },
  slow: { settings: { check: { ...short, timeout: '200ms' } }, bad: { answerAfterMs: 4000 } },
  silent: { settings: { check: { ...short, timeout: '500ms' } }, bad: { neverAnswer: true } },
  redirects: { settings: { check: short }, bad: { healthStatus: 302 } },
  'wrong-body': { settings: { check: short }, bad: { claimsVersion: '9.9.9' } },
  late: { bad: { listenAfterMs: 2000 } },
  'too-late': { settings: { check: short }, bad: { listenAfterMs: 3_600_000 } },
  'port-kept': { settings: { check: short }, good: { keepsPort: true }, bad: { staysWithoutPort: true } },
  daemonises: { bad: { daemonises: true } },
  'crashes-in-check': {
    settings: { check: { ...short, successes: 5 } },
    bad: { afterHealth: { count: 2, ms: 0, does: 'crash' } },
  },
  'crashes-in-watch': {
    settings: { watch: '8s' },
    // The third answer is one to the watch: two are enough for the check.
    bad: { afterHealth: { count: 3, ms: 500, does: 'crash' } },
  },
  'replaced-in-watch': {
    settings: { watch: '8s' },
    bad: { afterHealth: { count: 3, ms: 500, does: 'replace' } },
  },
} as const satisfies Record<string, Case>;
type Name = keyof typeof CASES;
const NAMES = Object.keys(CASES) as Name[];

/** So many at a time, for those that are rolled back start their services anew all at once. */
const AT_ONCE = 8;

let fleet: Fleet;
let watch: RecordWatch;
let services: Record<Name, Service>;
const outcomes = new Map<Name, Outcome | Error>();

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  const settings = NAMES.map((name) => [name, (CASES[name] as Case).settings ?? {}] as const);
  services = await addServices(fleet, 'i-0a1', Object.fromEntries(settings) as Record<Name, Settings>);
  const setup = await openSetup(fleet);
  await mapLimit(NAMES, AT_ONCE, async (name) => {
    const { good = {}, bad }: Case = CASES[name];
    await setup.deployed(name, '1.0.0', good);
    await setup.pushed(name, '2.0.0', bad);
  });
  setup.close();
  await mapLimit(NAMES, AT_ONCE, async (name) => {
    outcomes.set(name, await attempt(services[name], '2.0.0').catch((error) => error));
  });
}, 600_000);
afterAll(() => fleet?.stop());

function outcomeOf(name: Name): Outcome {
  const outcome = outcomes.get(name);
  if (outcome === undefined || outcome instanceof Error)
    throw outcome ?? new Error(`${name} was never tried`);
  return outcome;
}

/** It was refused by the check or in the watch, for this reason, and the version before runs again. */
async function expectRolledBack(name: Name, code: string, why: RegExp): Promise<void> {
  const { finished, report } = outcomeOf(name);
  expect(report, JSON.stringify(report)).toMatchObject({
    state: 'rolled-back',
    previous: '1.0.0',
    changed: true,
  });
  expect(report.error).toMatchObject({ code, message: expect.stringMatching(why) });
  expect(finished.code).toBe(1);
  await expectSettled(services[name], { version: '1.0.0', watch });
}

async function expectSucceeded(name: Name): Promise<void> {
  const { finished, report } = outcomeOf(name);
  expect(report, JSON.stringify(report)).toMatchObject({
    state: 'succeeded',
    version: '2.0.0',
    changed: true,
  });
  expect(finished.code).toBe(0);
  await expectSettled(services[name], { version: '2.0.0', watch });
}

/** A check that can never pass ends at its deadline: not before, and not much later. */
function expectWaitedFor(name: Name, deadlineMs: number): void {
  const { check = 0 } = outcomeOf(name).report.timings;
  expect(check).toBeGreaterThanOrEqual(deadlineMs - 100);
  expect(check).toBeLessThan(deadlineMs + 20_000);
}

describe('a version whose health check', () => {
  test.each<[string, Name, RegExp]>([
    [
      'answers 503 and 200 in turn never passes twice in a row',
      'flaps-in-a-row',
      /GET .*\/health: http (503|200).* of 2\) after 10 s/,
    ],
    ['answers later than a try may take never passes', 'slow', /no answer within 200 ms/],
    ['never answers never passes', 'silent', /no answer within 500 ms/],
    ['answers with a redirect is not followed to a good answer', 'redirects', /http 302/],
    ['answers for another version never passes', 'wrong-body', /http 200 without "version":"2\.0\.0"/],
    ['is still not bound at the deadline never passes', 'too-late', /refused/],
  ])('%s, and is rolled back at its deadline', async (_title, name, why) => {
    await expectRolledBack(name, 'CHECK_FAILED', why);
    expectWaitedFor(name, 10_000);
    proved('health', 'rolled back at its deadline');
  });

  test('is answered by the process before, which kept the port, never passes as the new version', async () => {
    await expectRolledBack('port-kept', 'CHECK_FAILED', /http 200 without "version":"2\.0\.0"/);
    expectWaitedFor('port-kept', 10_000);
    proved('health', 'rolled back; 1.0.0 answered all the while');
  });

  test('flaps passes a check for which one success is enough, and is rolled back in the watch', async () => {
    await expectRolledBack('flaps-once', 'WATCH_FAILED', /http 503 \(it has been failing for /);
    proved('health', 'passed its check with successes: 1, rolled back in the watch');
  });

  test('answers a single 503 starts its row of successes anew and passes', async () => {
    await expectSucceeded('one-503-in-check');
    proved('health', 'succeeded with successes: 3');
  });

  test('answers a single 503 in the watch is no verdict', async () => {
    await expectSucceeded('one-503-in-watch');
    proved('health', 'succeeded with one 503 in the watch');
  });

  test('is bound late and in time passes', async () => {
    await expectSucceeded('late');
    expect(outcomeOf('late').report.timings.check).toBeGreaterThanOrEqual(1000);
    proved('health', `succeeded, bound 2 s after its start`);
  });

  test('is answered by a daemon that replaced the process that was started passes', async () => {
    await expectSucceeded('daemonises');
    const { dir } = services.daemonises;
    const [launched] = (await readFile(join(dir, 'starts'), 'utf8')).trim().split('\n').slice(-1);
    const now = (await readFile(join(dir, 'service.pid'), 'utf8')).trim();
    expect(now).not.toBe(launched);
    expect((await ask(services.daemonises))?.pid).toBe(Number(now));
    proved('health', 'succeeded with another pid than the start command’s');
  });
});

describe('a version that crashes', () => {
  test('while it is checked is rolled back', async () => {
    await expectRolledBack('crashes-in-check', 'CHECK_FAILED', /refused|reset|is not active/);
    expect(outcomeOf('crashes-in-check').report.error?.detail).toContain('fatal: out of memory');
    proved('crash-loop', 'crashed in the check: rolled back, with its last words');
  });

  test('after its check passed is rolled back within the watch', async () => {
    await expectRolledBack(
      'crashes-in-watch',
      'WATCH_FAILED',
      /the checks passed, then the service is not active/,
    );
    const { report } = outcomeOf('crashes-in-watch');
    expect(report.timings.watch).toBeLessThan(8000 + 10_000);
    expect(report.error?.detail).toContain('fatal: out of memory');
    proved('crash-loop', 'crashed within the watch: rolled back, with its last words');
  });

  test('or is replaced by another process after its check passed is rolled back within the watch', async () => {
    await expectRolledBack(
      'replaced-in-watch',
      'WATCH_FAILED',
      /the main process changed from \d+ to (\d+|none)|is not active/,
    );
    proved('crash-loop', 'another pid in the watch: rolled back');
  });
});
