import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { openReexecWorld, type ReexecWorld, said } from './support/reexec.ts';
import { payments, versionOf } from './support/services.ts';
import { endingsOf, expectSettled } from './support/settled.ts';

/** Versions are deployed and rolled back while systemd executes itself anew. */

let world: ReexecWorld;

beforeAll(async () => {
  world = await openReexecWorld();
  await world.host.configure({ payments: await payments(world.host) });
});
afterAll(() => world?.site.stop());

async function deployed(version: string, behaviour = {}) {
  await world.push('payments', version, await world.site.fleet.pack(version, behaviour));
  return await world.deployMeanwhile('payments', version);
}

const ending = () => endingsOf(world.site.fleet, world.host, 'payments').at(-1);

test('a first version that fails, while systemd executes itself anew, is stopped and leaves no failed unit', async () => {
  const { result, times } = await deployed('0.9.0', { exitAtStart: true });
  expect(result, said(result)).toMatchObject({ code: 1 });
  expect(times).toBeGreaterThan(3);
  expect(ending()).toMatchObject({ state: 'rolled-back' });
  await world.expectNoFailedUnits();
});

test('good versions succeed while systemd executes itself anew', async () => {
  let cuts = 0;
  for (const version of ['1.0.0', '1.1.0']) {
    const { result, times } = await deployed(version);
    expect(result, said(result)).toMatchObject({ code: 0 });
    cuts += times;
  }
  await expectSettled(world.host, 'payments', '1.1.0', world.watch);
  await world.expectNoFailedUnits();
  proved('reexec', `systemctl daemon-reexec ${cuts} times in 2 deployments: all succeeded`);
});

test('bad versions are rolled back while systemd executes itself anew', async () => {
  let cuts = 0;
  for (const [version, behaviour] of [
    ['1.3.0', { exitAtStart: true }],
    ['1.4.0', { exitAfterMs: 1500 }],
  ] as const) {
    const { result, times } = await deployed(version, behaviour);
    expect(result, said(result)).toMatchObject({ code: 1 });
    expect(ending()).toMatchObject({ state: 'rolled-back', version });
    expect(await versionOf(world.host, 'payments')).toBe('1.1.0');
    cuts += times;
  }
  await expectSettled(world.host, 'payments', '1.1.0', world.watch);
  await world.expectNoFailedUnits();
  proved('reexec', `systemctl daemon-reexec ${cuts} times in 2 rollbacks: both rolled back`);
});
