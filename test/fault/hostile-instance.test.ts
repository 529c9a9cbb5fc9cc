import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BUCKET } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { EVIL, type Intruder, mayPut } from './support/instance/intruder.ts';
import { HONEST, isOrder, LIES, type Lie, reportOf, SERVICE, WIDE_LIES } from './support/instance/lies.ts';
import { SELVES, speakAs } from './support/instance/self.ts';
import {
  BAD,
  type Ended,
  type InstanceWorld,
  notesOf,
  openInstanceWorld,
  settledOf,
} from './support/instance/world.ts';

/**
 * A person with the role of one instance, against a real publisher and two real agents. The role writes everything it
 * may. It changes what is said of its own instance, and nothing else.
 */

let world: InstanceWorld;
let evil: Intruder;
let cases = 0;
let written = 0;

beforeAll(async () => {
  world = await openInstanceWorld();
  evil = world.evil;
  world.fleet.cloud.enableVersioning(BUCKET);
  for (const version of ['1.0.0', '1.1.0']) {
    expect(await world.run(SERVICE, version)).toMatchObject({ ended: 0 });
  }
});
afterEach(() => evil.undo());
afterAll(() => world?.close());

/** From now on these lies are told. The last of `more` is what the role says of itself. */
async function tell(lies: readonly Lie[], more: Intruder['heard'] = () => undefined): Promise<void> {
  evil.policy = lies.some(({ policy }) => policy === 'wide') ? 'wide' : 'own';
  evil.heard = async (said) => {
    for (const lie of lies) await lie.heard?.(evil, said);
    await more(said);
  };
  for (const lie of lies) await lie.before?.(evil);
}

/** Runs `play`, in which something must have been written, and counts it for each lie. */
async function played<T>(lies: number, play: () => Promise<T>): Promise<T> {
  const before = evil.written;
  const result = await play();
  expect(evil.written, 'the role wrote nothing').toBeGreaterThan(before);
  written += evil.written - before;
  cases += lies;
  return result;
}

const both = { counts: { succeeded: 2 }, outcome: 'succeeded', exitCode: 0 };

/** It ended well, for the honest instances and nobody else. */
async function went(well: Ended, version: string): Promise<void> {
  expect(well.ended, notesOf(well.events)).toBe(0);
  expect(settledOf(well.events)).toMatchObject(both);
  expect((await world.newest()).expected.toSorted()).toEqual(HONEST);
  await world.honestRun(version);
}

async function inWaves(version: string): Promise<Ended> {
  const running = await world.start(SERVICE, version, '--canary', '1', '--batch', '1', '--confirm');
  const isWaiting = () => running.events.some(({ type }) => type === 'waiting');
  await Promise.race([running.until(isWaiting), world.end(running)]);
  expect(isWaiting(), notesOf(running.events)).toBe(true);
  const { deployment } = await world.newest();
  expect(await world.run('confirm', deployment)).toMatchObject({ ended: 0 });
  return await world.end(running);
}

test('the role may write below its own userid only, and with the old policy any name below instances/ and reports/', async () => {
  const own = 'AROAEMBEDDEDCLOUD:i-evil.json';
  expect(mayPut('own', `state/dev/payments/instances/${own}`)).toBe(true);
  expect(mayPut('own', `state/dev/a/deployments/x/y/reports/${own}`)).toBe(true);
  for (const key of [
    'state/dev/payments/instances/AROAEMBEDDEDCLOUD:i-1.json',
    `state/dev/payments/${own}`,
  ]) {
    expect(mayPut('own', key), key).toBe(false);
  }
  expect(mayPut('wide', 'state/dev/payments/instances/i-1.json')).toBe(true);
  expect(mayPut('wide', 'state/dev/payments/desired.jws')).toBe(false);
  await expect(evil.send('trigger-deploy-dev-i-1', 'x')).rejects.toThrow('AccessDenied');
});

describe('a deployment and status are as without it:', () => {
  test.each(LIES)('$title', async (lie) => {
    const version = await world.next();
    await played(1, async () => {
      await tell([lie]);
      await went(await world.run(SERVICE, version), version);
    });
  });
});

describe.each([
  ['its own name', LIES.filter(({ many }) => !many)],
  ['any name', WIDE_LIES],
])('with all lies below %s at once', (_, lies) => {
  test('a rolling deployment with a gate goes on when a person confirms, and to no other instance', async () => {
    const version = await world.next();
    await played(lies.length, async () => {
      await tell(lies, async (said) => {
        if (isOrder(said)) await evil.send(said.replyTo, reportOf(said, EVIL, 'broken'));
      });
      await went(await inWaves(version), version);
    });
    expect((await world.newest()).results).not.toHaveProperty(EVIL);
  });

  test('a rollback and a restart reach the honest instances', async () => {
    const version = await world.next();
    await played(2 * lies.length, async () => {
      await tell(lies);
      await went(await world.run('rollback', SERVICE), version);
      await went(await world.run('restart', SERVICE), version);
    });
  });

  test('a watch settles the deployment that nobody follows', async () => {
    const version = await world.next();
    await played(lies.length, async () => {
      await tell(lies);
      expect(await world.run(SERVICE, version, '--no-wait')).toMatchObject({ ended: 0 });
      const { deployment } = await world.newest();
      await evil.hasHeard((said) => said.deployment === deployment);
      await went(await world.run('watch', deployment), version);
    });
  });

  test('plan, history and doctor say what is so, and doctor sets no lock to what one instance says', async () => {
    const version = await world.next();
    const { deployment } = await world.newest();
    const before = await world.sequence();
    await played(3 * lies.length, async () => {
      await tell(lies);
      const plan = await world.run('plan', SERVICE, version);
      expect(plan.ended).toBe(0);
      expect(plan.lines.join('\n')).toMatch(/i-1[\s\S]*i-2/);
      expect(plan.lines.join('\n')).not.toMatch(/evil|ghost/);
      const history = await world.run('history', SERVICE);
      expect(history.ended).toBe(0);
      expect(history.lines.join('\n')).toContain(deployment);
      const doctor = await world.run('doctor', SERVICE, '--repair');
      expect(doctor.lines).toContainEqual(expect.stringContaining('2 of 2 instances answer'));
    });
    expect(await world.sequence()).toBe(before);
  });
});

test('a deployment to selected instances counts no other, also where that one says that it failed', async () => {
  const version = await world.next();
  await played(1, async () => {
    await tell([], async (said) => {
      if (isOrder(said)) await evil.send(said.replyTo, reportOf(said, EVIL, 'broken'));
    });
    const only = await world.run(SERVICE, version, '--only', HONEST[0]);
    expect(only.ended, notesOf(only.events)).toBe(0);
    expect(settledOf(only.events)).toMatchObject({ ...both, counts: { succeeded: 1 } });
  });
  evil.undo();
  await went(await world.run(SERVICE, version), version);
});

test('a bad version fails and is rolled back, whoever says that it succeeded', async () => {
  const version = (await world.desired()) ?? '';
  const ended = await played(1, async () => {
    await tell([], async (said) => {
      if (!isOrder(said) || said.version !== BAD) return;
      for (const id of HONEST) await evil.send(said.replyTo, reportOf(said, id, 'succeeded'));
    });
    return await world.run(SERVICE, BAD);
  });
  expect(ended.ended).toBe(1);
  expect(settledOf(ended.events)).toMatchObject({ outcome: 'failed', counts: { 'rolled-back': 2 } });
  await world.honestRun(version, 'rolled-back');
});

describe('what it says of itself counts, once:', () => {
  test.each(SELVES)('$title', async ({ says, options, outcome, exitCode, counts, goesOn, waves }) => {
    const [version, before] = [await world.next(), (await world.desired()) ?? ''];
    await played(1, async () => {
      evil.policy = 'own';
      await speakAs(evil, before, (order) => (order.version === version ? says : ['accepted', 'succeeded']));
      const strategy = waves ? ['--canary', '1', '--batch', '1'] : [];
      const ended = await world.run(SERVICE, version, ...options, ...strategy);
      expect(ended.ended, notesOf(ended.events)).toBe(exitCode);
      expect(settledOf(ended.events)).toMatchObject({ outcome, counts });
      await world.honestRun(goesOn ? version : before);
    });
  });
});

test('after all of it a deployment is as good as ever', async () => {
  const version = await world.next();
  await went(await world.run(SERVICE, version), version);
  expect(cases).toBeGreaterThan(LIES.length * 5 + WIDE_LIES.length * 5);
  proved('hostile-instance', `${cases} lies in ${written} objects and messages`);
});
