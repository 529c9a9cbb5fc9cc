import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { DEBIANS, dpkgState, lighttpd, lighttpdVersion, repack } from './support/lighttpd.ts';
import { openReexecWorld, type ReexecWorld, said } from './support/reexec.ts';
import { endingsOf } from './support/settled.ts';

/** dpkg installs while systemd executes itself anew. */

let world: ReexecWorld;

beforeAll(async () => {
  world = await openReexecWorld();
  await world.host.configure({ lighttpd: await lighttpd(world.host) });
  await world.push('lighttpd', DEBIANS, inject('e2e').lighttpd);
});
afterAll(() => world?.site.stop());

test('dpkg installs, fails and restores while systemd executes itself anew, and leaves nothing behind', async () => {
  const { host, site, push, deployMeanwhile } = world;
  const first = await deployMeanwhile('lighttpd', DEBIANS);
  expect(first.result, said(first.result)).toMatchObject({ code: 0 });
  const dir = `${site.dir}/repacks`;
  await push('lighttpd', '1.4.69-2', await repack(dir, { version: '1.4.69-2', slow: true }));
  const second = await deployMeanwhile('lighttpd', '1.4.69-2');
  expect(second.result, said(second.result)).toMatchObject({ code: 0 });
  expect(await dpkgState(host)).toBe('install ok installed 1.4.69-2');
  await push('lighttpd', '1.4.69-3', await repack(dir, { version: '1.4.69-3', postinst: 'sleep 1; exit 1' }));
  const third = await deployMeanwhile('lighttpd', '1.4.69-3');
  expect(third.result, said(third.result)).toMatchObject({ code: 1 });
  expect(endingsOf(site.fleet, host, 'lighttpd').at(-1)).toMatchObject({ state: 'rolled-back' });
  expect(await dpkgState(host)).toBe('install ok installed 1.4.69-2');
  expect(await lighttpdVersion(host)).toBe('1.4.69-2');
  await world.expectNoFailedUnits();
  const times = first.times + second.times + third.times;
  proved('reexec', `systemctl daemon-reexec ${times} times in 4 runs of dpkg: installed and restored`);
});
