import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import { buildDeb } from '../support/fleet/debs.ts';
import type { Finished } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { during } from './support/during.ts';
import {
  DEBIANS,
  dpkgState,
  isUnpacking,
  keepsItsConf,
  lighttpd,
  lighttpdVersion,
  type Repack,
  repack,
  stages,
} from './support/lighttpd.ts';
import { endingsOf, statusOf } from './support/settled.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** A server package of Debian's own on booted instances, and everything that dpkg can do to a deployment. */

let site: Site;
let watch: RecordWatch;
let hosts: [Host, Host, Host];

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  hosts = (await Promise.all(
    ['i-0a1', 'i-0b2', 'i-0c3'].map(async (id) => {
      const host = await site.host(id);
      await host.boot();
      await host.configure({ lighttpd: await lighttpd(host) });
      return host;
    }),
  )) as [Host, Host, Host];
});
afterAll(() => site?.stop());

async function push(version: string, file: string): Promise<void> {
  const pushed = await site.fleet.publisher('push', 'lighttpd', version, file);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

async function pushRepack(repacked: Repack): Promise<void> {
  await push(repacked.version, await repack(`${site.dir}/repacks`, repacked));
}

const publisher = (...args: string[]) => site.fleet.publisher(...args, '--env', 'dev');
const said = ({ stdout, stderr }: Finished) => `${stdout}${stderr}`;

/** dpkg has the whole of it, it runs, the operator's conffile is untouched, and there is one ending each. */
async function expectEverywhere(version: string): Promise<void> {
  for (const host of hosts) {
    await expect
      .poll(() => statusOf(host, 'lighttpd'), { timeout: 30_000, interval: 500 })
      .toMatchObject({ version, undelivered: 0 });
    expect(await dpkgState(host)).toBe(`install ok installed ${version}`);
    expect(await lighttpdVersion(host)).toBe(version);
    expect(await keepsItsConf(host)).toBe(true);
  }
  for (const [key, endings] of watch.endings) expect(endings, key).toHaveLength(1);
}

const mainPids = () => Promise.all(hosts.map((host) => host.show('lighttpd.service', 'MainPID')));

test('Debian’s own server is installed, with the conffile that the operator had written before', async () => {
  await push(DEBIANS, inject('e2e').lighttpd);
  const result = await publisher('lighttpd', DEBIANS);
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectEverywhere(DEBIANS);
});

test('a repack with a higher version and another conffile replaces it without a question', async () => {
  await pushRepack({ version: '1.4.69-2' });
  const result = await publisher('lighttpd', '1.4.69-2');
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectEverywhere('1.4.69-2');
});

test('a version whose postinst fails is rolled back by a downgrade, with the words of the script', async () => {
  await pushRepack({ version: '1.4.69-3', postinst: 'echo "the schema is too old" >&2; exit 1' });
  const result = await publisher('lighttpd', '1.4.69-3');
  expect(result, said(result)).toMatchObject({ code: 1 });
  expect(result.stdout).toMatch(/rolled-back 1\.4\.69-3 back to 1\.4\.69-2/);
  expect(result.stdout).toContain('the schema is too old');
  await expectEverywhere('1.4.69-2');
  proved('dpkg', 'a failing postinst: rolled back by a downgrade, its output in the report');
});

test('`rollback` installs the .deb that was kept, and downloads nothing', async () => {
  const downloads = () =>
    site.fleet.cloud.requests.filter(
      ({ operation, key }) => operation === 'GetObject' && key?.endsWith('.deb'),
    );
  const before = downloads().length;
  const result = await publisher('rollback', 'lighttpd');
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectEverywhere(DEBIANS);
  expect(downloads()).toHaveLength(before);
});

test('a dependency that is missing is named before anything stops', async () => {
  await pushRepack({ version: '1.4.69-4', depends: 'libnowhere9 (>= 2.0)' });
  const before = await mainPids();
  const result = await publisher('lighttpd', '1.4.69-4');
  expect(result, said(result)).toMatchObject({ code: 1 });
  expect(result.stdout).toContain('libnowhere9 (>= 2.0)');
  for (const host of hosts)
    expect(endingsOf(site.fleet, host, 'lighttpd').at(-1)).toMatchObject({ state: 'failed' });
  expect(await mainPids()).toEqual(before);
  await expectEverywhere(DEBIANS);
  proved('dpkg', 'a missing dependency: failed before anything stopped');
});

test('while another process has the dpkg lock the deployment waits, and names it', async () => {
  const [a] = hosts;
  const slow = await buildDeb(`${site.dir}/repacks`, {
    name: 'slow-upgrade',
    version: '1',
    scripts: {
      postinst: 'echo begun >/run/slow-upgrade; until [ -e /run/slow-upgrade-may-end ]; do sleep 0.1; done',
    },
  });
  await copyFile(slow, a.seen('/root/slow.deb'));
  await a.ok(['systemd-run', '--quiet', 'dpkg', '-i', '/root/slow.deb']);
  await expect.poll(() => a.read('/run/slow-upgrade')).toBe('begun\n');
  const deploying = site.fleet.startPublisher('lighttpd', '1.4.69-2', '--env', 'dev', '--output', 'json');
  await deploying.line((line) => /waiting for the dpkg lock, held by process \d+/.test(line));
  await a.write('/run/slow-upgrade-may-end', '');
  const result = await deploying.finished;
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectEverywhere('1.4.69-2');
  proved('dpkg', 'the lock held by another dpkg: waited for, then installed');
});

test('dpkg killed in preinst, unpack and postinst is taken up again, and the version runs', async () => {
  const [a, b, c] = hosts;
  await pushRepack({ version: '1.4.69-5', slow: true });
  const result = await during(
    site,
    ['lighttpd', '1.4.69-5'],
    [
      [a, 'switching', () => inStage(a, 'preinst upgrade').then(() => killDpkg(a))],
      [b, 'switching', () => unpacking(b).then(() => killDpkg(b))],
      [c, 'switching', () => inStage(c, 'postinst configure').then(() => killDpkg(c))],
    ],
  );
  expect(result, said(result)).toMatchObject({ code: 0 });
  expect(result.stdout).toContain('dpkg was interrupted; resuming it');
  await expectEverywhere('1.4.69-5');
  proved('dpkg', 'dpkg killed in preinst, unpack, postinst: taken up again, succeeded');
});

test('an agent killed, restarted or rebooted away while dpkg runs finds it done, and done once', async () => {
  const [a, b, c] = hosts;
  await pushRepack({ version: '1.4.69-6', slow: true });
  for (const host of hosts) await host.run(['rm', '-f', '/run/lighttpd-stage']);
  const result = await during(
    site,
    ['lighttpd', '1.4.69-6'],
    [
      [
        a,
        'switching',
        () =>
          inStage(a, 'postinst configure').then(() => a.ok(['systemctl', 'kill', '-s', 'KILL', AGENT_UNIT])),
      ],
      [
        b,
        'switching',
        async () => {
          await inStage(b, 'preinst upgrade');
          await b.ok(['systemctl', 'restart', AGENT_UNIT]);
          await inStage(b, 'postinst configure');
          await b.ok(['systemctl', 'restart', AGENT_UNIT]);
        },
      ],
      [c, 'switching', () => inStage(c, 'postinst configure').then(() => c.reboot())],
    ],
  );
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectEverywhere('1.4.69-6');
  for (const host of [a, b]) expect(await stages(host)).toEqual(['preinst upgrade', 'postinst configure']);
  proved('dpkg', 'the agent killed, restarted twice, or rebooted while dpkg runs: one dpkg, succeeded');
});

const soon = { interval: 20, timeout: 30_000 };

async function inStage(host: Host, stage: string): Promise<void> {
  await expect.poll(() => stages(host), soon).toContain(stage);
}

async function unpacking(host: Host): Promise<void> {
  await expect.poll(() => isUnpacking(host), { ...soon, interval: 5 }).toBe(true);
}

/** dpkg itself, in the unit that the agent had systemd start. */
async function killDpkg(host: Host): Promise<void> {
  const units = await host.ok([
    ...['systemctl', 'list-units', '--plain', '--no-legend', 'trigger-deploy-lighttpd-*.service'],
  ]);
  const [unit = ''] = units.split(' ');
  await host.ok(['systemctl', 'kill', '--kill-who=main', '-s', 'KILL', unit]);
}
