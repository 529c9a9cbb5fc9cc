import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { offerByApt } from './support/apt.ts';
import { DEBIANS, dpkgState, lighttpd, lighttpdVersion, repack } from './support/lighttpd.ts';
import { endingsOf } from './support/settled.ts';
import { type Host, openSite, type Site } from './support/site.ts';

/** A server that was installed by other means: its first deploy can be undone, or is refused. */

let site: Site;
/** Its apt has the .deb of what is installed. */
let withApt: Host;
/** No repository has it. */
let without: Host;

beforeAll(async () => {
  site = await openSite();
  [withApt, without] = (await Promise.all(
    ['i-0a1', 'i-0b2'].map(async (id) => {
      const host = await site.host(id);
      // No network is asked: what apt has is on the instance.
      await host.write('/etc/apt/sources.list', '');
      await host.boot();
      const service = await lighttpd(host);
      await copyFile(inject('e2e').lighttpd, host.seen('/root/lighttpd.deb'));
      await host.ok(['dpkg', '--force-confold', '-i', '/root/lighttpd.deb'], { timeout: 120_000 });
      if (id === 'i-0a1') await offerByApt(host, inject('e2e').lighttpd);
      await host.configure({ lighttpd: service });
      return host;
    }),
  )) as [Host, Host];
});
afterAll(() => site?.stop());

async function push(version: string, file: string): Promise<void> {
  const pushed = await site.fleet.publisher('push', 'lighttpd', version, file);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

const lastEnding = (host: Host) => endingsOf(site.fleet, host, 'lighttpd').at(-1);

test('a bad first deploy rolls back to the .deb from apt, and is refused if neither bucket nor apt has the .deb', async () => {
  await push('1.4.69-8', await repack(`${site.dir}/repacks`, { version: '1.4.69-8', postinst: 'exit 3' }));
  const pid = await without.show('lighttpd.service', 'MainPID');
  const result = await site.fleet.publisher('lighttpd', '1.4.69-8', '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 1 });
  expect(lastEnding(withApt)).toMatchObject({ state: 'rolled-back', previous: DEBIANS });
  expect(lastEnding(without)).toMatchObject({ state: 'failed', error: { code: 'UNDO_IMPOSSIBLE' } });
  expect(await without.show('lighttpd.service', 'MainPID')).toEqual(pid);
  for (const host of [withApt, without]) {
    expect(await dpkgState(host)).toBe(`install ok installed ${DEBIANS}`);
    expect(await lighttpdVersion(host)).toBe(DEBIANS);
  }
  proved('dpkg', 'installed by other means: its .deb from apt, or refused before anything stopped');
});

test('once the .deb of what is installed was pushed, the deploy can be undone everywhere', async () => {
  await push(DEBIANS, inject('e2e').lighttpd);
  await push('1.4.69-9', await repack(`${site.dir}/repacks`, { version: '1.4.69-9' }));
  const deployed = await site.fleet.publisher('lighttpd', '1.4.69-9', '--env', 'dev');
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  expect(await Promise.all([withApt, without].map(lighttpdVersion))).toEqual(['1.4.69-9', '1.4.69-9']);
  const back = await site.fleet.publisher('lighttpd', DEBIANS, '--env', 'dev');
  expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
  expect(await Promise.all([withApt, without].map(lighttpdVersion))).toEqual([DEBIANS, DEBIANS]);
});
