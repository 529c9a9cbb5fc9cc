import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { ulidTime } from '../../shared/names.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup, type Setup } from '../support/fleet/setup.ts';
import { withoutWaits } from '../support/publisher/events.ts';
import { proved } from '../support/reliability.ts';
import { addServices, close, open, reached, type Service } from './support/fleet/services.ts';
import { expectSettled } from './support/fleet/settled.ts';
import {
  comingLater,
  killedAt,
  lockOf,
  moveLockElsewhere,
  type Publisher,
  recordOf,
  startPublisher,
  tapTopic,
} from './support/publisher/publishers.ts';
import { type RecordWatch, recordedIds, watchRecord } from './support/publisher/record-watch.ts';
import { expectAtRest, expectTrueRecord } from './support/publisher/true-record.ts';

/** Publishers that meet, and publishers whose clock is an hour off. A gate in a hook of the service holds the first. */

const HOUR_MS = 60 * 60 * 1000;
const WRONG = [
  ['an hour ahead', HOUR_MS],
  ['an hour behind', -HOUR_MS],
] as const;

// On a machine that does much else, patience and no assertion.
vi.setConfig({ testTimeout: 240_000 });

let fleet: Fleet;
let watch: RecordWatch;
let setup: Setup;
let services: Record<'payments' | 'ledger' | 'clock', Service>;

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  await tapTopic(fleet);
  const hooks = { beforeStop: ['drain'] };
  services = await addServices(fleet, 'i-0a1', {
    payments: { watch: '0s', hooks },
    ledger: { watch: '0s', hooks },
    clock: { watch: '0s', hooks },
  });
  setup = await openSetup(fleet);
  await Promise.all(
    Object.values(services).map(async ({ name }) => {
      await setup.deployed(name, '1.0.0');
      for (const version of ['1.1.0', '1.2.0', '1.3.0', '1.4.0']) await setup.pushed(name, version);
    }),
  );
}, 600_000);
afterAll(async () => {
  setup?.close();
  await fleet?.stop();
});

/** Ended with the test, whatever becomes of it. */
function start(args: readonly string[], options?: Parameters<typeof startPublisher>[2]): Publisher {
  const publisher = startPublisher(fleet, args, options);
  onTestFinished(() => void publisher.process.kill('SIGKILL'));
  return publisher;
}

async function expectAllWell(service: Service, version: string): Promise<void> {
  expect(watch.desired.get(service.name)?.at(-1)).toMatchObject({ version });
  await expectSettled(service, { version, watch });
  expectTrueRecord(fleet, watch, service.name);
  expectAtRest(service, watch);
}

test('of four publishers of one service at once one deploys; the others exit with its name, its start time and the command that follows it', async () => {
  const { payments } = services;
  await close(payments, 'drain');
  const names = ['anna', 'bert', 'cleo', 'dora'];
  const all = names.map((who) => start(['payments', '1.1.0'], { who }));
  await reached(payments, 'drain');
  const winner = lockOf(fleet, 'payments')?.owner;
  if (!winner) throw new Error('no publisher has the lock');
  const losers = all.filter((_, index) => winner.who !== `jenkins ${names[index]}#7`);
  expect(losers).toHaveLength(3);
  for (const { finished } of losers) {
    const { code, stdout, stderr } = withoutWaits(await finished);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    const [what, hint] = stderr.split('\n');
    expect(what).toContain(`is locked by ${winner.who} (deploy ${winner.deployment}) since ${winner.since}`);
    expect(hint).toContain(`trigger-deploy watch ${winner.deployment} --env dev follows it`);
  }

  const before = recordOf(fleet, 'payments');
  const rollback = await start(['rollback', 'payments']).finished;
  expect(rollback.code).toBe(4);
  expect(rollback.stderr).toContain(winner.who);
  const { 'state/dev/payments/lock.json': _beating, ...rest } = recordOf(fleet, 'payments');
  expect(before).toMatchObject(rest);

  const following = start(['watch', winner.deployment]);
  await following.line((line) => line.includes('payments i-0a1 '));
  await open(payments, 'drain');
  const codes = await Promise.all([...all, following].map(async ({ finished }) => (await finished).code));
  expect(codes.toSorted()).toEqual([0, 0, 4, 4, 4]);
  await expectAllWell(payments, '1.1.0');
  proved('two-publishers', 'four at once: one deployed, three refused; a watch followed it');
});

test('two publishers of two services at once both deploy', async () => {
  const { payments, ledger } = services;
  await close(payments, 'drain');
  await close(ledger, 'drain');
  const both = [start(['payments', '1.2.0']), start(['ledger', '1.2.0'])];
  await Promise.all([reached(payments, 'drain'), reached(ledger, 'drain')]);
  // Both are in the middle of it, and each holds its own lock.
  expect(lockOf(fleet, 'payments')?.owner).not.toBeNull();
  expect(lockOf(fleet, 'ledger')?.owner).not.toBeNull();
  await open(payments, 'drain');
  await open(ledger, 'drain');
  for (const { finished } of both) expect((await finished).code).toBe(0);
  await expectAllWell(payments, '1.2.0');
  await expectAllWell(ledger, '1.2.0');
  proved('two-publishers', 'two services at once: both deployed');
});

test.each(WRONG)(
  'a publisher whose clock is %s deploys and rolls back as any other',
  async (title, clockOffsetMs) => {
    const { clock } = services;
    const [from, to] = clockOffsetMs > 0 ? ['1.0.0', '1.1.0'] : ['1.1.0', '1.2.0'];
    if (clockOffsetMs < 0) expect((await start(['clock', from]).finished).code).toBe(0);
    const deployed = await start(['clock', to], { clockOffsetMs }).finished;
    expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
    const back = await start(['rollback', 'clock'], { clockOffsetMs }).finished;
    expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
    await expectAllWell(clock, from);
    for (const id of recordedIds(watch, 'clock')) {
      // The newest is looked for among the newest ids.
      expect(Math.abs(ulidTime(id) - Date.now())).toBeLessThan(HOUR_MS / 2);
    }
    proved('two-publishers', `a clock ${title}: deployed and rolled back`);
  },
);

test.each(WRONG)(
  'a publisher whose clock is %s takes no lock from a living one',
  async (title, clockOffsetMs) => {
    const { ledger } = services;
    await close(ledger, 'drain');
    const version = clockOffsetMs > 0 ? '1.3.0' : '1.4.0';
    const living = start(['ledger', version]);
    await reached(ledger, 'drain');
    const owner = lockOf(fleet, 'ledger')?.owner;
    const refused = withoutWaits(await start(['ledger', '1.0.0'], { clockOffsetMs }).finished);
    expect(refused).toMatchObject({ code: 4, stdout: '' });
    expect(refused.stderr).toContain(`(deploy ${owner?.deployment}) since ${owner?.since}`);
    await open(ledger, 'drain');
    expect((await living.finished).code).toBe(0);
    await expectAllWell(ledger, version);
    proved('two-publishers', `a clock ${title}: refused by a living lock`);
  },
);

test.each(WRONG)(
  'a publisher whose clock is %s takes over the lock of a dead one',
  async (title, clockOffsetMs) => {
    const { payments } = services;
    const version = clockOffsetMs > 0 ? '1.3.0' : '1.4.0';
    expect((await killedAt(fleet, 1, ['payments', version])).lived).toBe(false);
    expect(lockOf(fleet, 'payments')?.owner).not.toBeNull();
    moveLockElsewhere(fleet, 'payments');
    const { code, stdout, stderr } = await comingLater(fleet, 'payments', ['payments', version], {
      clockOffsetMs,
    });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain('taking over the lock of payments from ');
    await expectAllWell(payments, version);
    proved('publisher-killed', `a clock ${title}: took a dead publisher’s lock over`);
  },
);
