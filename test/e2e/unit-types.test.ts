import { copyFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDeb, serverDeb } from '../support/fleet/debs.ts';
import type { ServiceYaml } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { offerByApt } from './support/apt.ts';
import { get } from './support/services.ts';
import { endingsOf } from './support/settled.ts';
import { type Host, openSite, type Site } from './support/site.ts';
import {
  type Behaviour,
  execStart,
  jarService,
  programOf,
  writeProgram,
  writeUnits,
} from './support/units.ts';

/** What docs/OPERATIONS.md says is supported, on one booted instance. */

let site: Site;
let host: Host;

beforeAll(async () => {
  site = await openSite();
  host = await site.host('i-0a1');
  await host.boot();
  await host.write('/run/bell', '');
  await host.write('/etc/cache.conf', OPERATORS);
  await host.ok(['ln', '-s', '/dev/null', '/etc/systemd/system/veil.service']);
  const runs = (name: string, more = '') => `[Service]\n${execStart(name, host.port(name))}${more}`;
  await writeUnits(host, {
    'pay.service': `[Service]\n${execStart('pay')}`,
    'pay.socket': socketUnit('pay'),
    'bell.service': runs('bell'),
    'bell.path': '[Path]\nPathExists=/run/bell\n[Install]\nWantedBy=paths.target\n',
    'tick.service': runs('tick'),
    'tick.timer': '[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n',
    'job.service': '[Service]\nType=oneshot\nExecStart=/bin/true\n',
    'job.timer': '[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n',
    'shop@.service': runs('shop'),
    'guest.service': runs('guest', 'DynamicUser=yes\n'),
    'call@.service': '[Service]\nExecStart=/bin/cat\nStandardInput=socket\n',
    'call.socket': socketUnit('call').replace('[Install]', 'Accept=yes\n[Install]'),
    'loop.service': runs('loop', 'Restart=always\nRestartSec=100ms\n'),
  });
  await host.ok([
    'systemctl',
    'enable',
    '--now',
    'pay.socket',
    'bell.path',
    'tick.timer',
    'job.timer',
    'call.socket',
  ]);
  const jar = (name: string, unit = `${name}.service`, deadline?: string) => ({
    [name]: jarService(name, unit, host.port(name), deadline),
  });
  const deb = (name: string, more = {}): Record<string, ServiceYaml> => ({
    [name]: {
      ...jarService(name, `${name}.service`, host.port(name)),
      package: { type: 'deb', name, ...more },
    },
  });
  await host.configure({
    ...{ ...jar('pay'), ...jar('bell'), ...jar('tick'), ...jar('job'), ...jar('shop', 'shop@1.service') },
    ...{ ...jar('guest'), ...jar('loop', 'loop.service', '10m'), ...jar('veil'), ...jar('call') },
    ...{ ...deb('proxy'), ...deb('cache', { companions: ['cache-common'], fetchDependencies: true }) },
  });
});
afterAll(() => site?.stop());

/** Of the check of `loop`, ms. */
const HALF_OF_DEADLINE = 300_000;
const OPERATORS = '# changed by the operator\n';
const publisher = (...args: string[]) => site.fleet.publisher(...args, '--env', 'dev');
const answer = (service: string) => get(`http://127.0.0.1:${host.port(service)}/`);
const stateOf = async (unit: string) => (await host.show(unit, 'ActiveState')).ActiveState;

async function deploy(service: string, version: string, files: readonly string[]) {
  const pushed = await site.fleet.publisher('push', service, version, ...files);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const endings = () => endingsOf(site.fleet, host, service);
  const before = endings().length;
  const { code, stdout, stderr } = await publisher(service, version);
  // The publisher hears of the ending by its queue, which may be before the report is in the record.
  await expect.poll(() => endings().length).toBeGreaterThan(before);
  return { code, state: endings().at(-1)?.state, said: `${stdout}${stderr}` };
}

const deployJar = async (service: string, version: string, behaviour: Behaviour = 'good') =>
  await deploy(service, version, [await writeProgram(`${site.dir}/${service}`, version, behaviour)]);

const DONE = { code: 0, state: 'succeeded' };
const REFUSED = { code: 1, state: 'failed' };
const ROLLED_BACK = { code: 1, state: 'rolled-back' };

describe('socket activation', () => {
  test('a socket that a bad version took to its start limit listens again', async () => {
    expect(await deployJar('pay', '1')).toMatchObject(DONE);
    expect(await deployJar('pay', '2', 'dies-when-asked')).toMatchObject(ROLLED_BACK);
    expect((await host.journal('pay.socket')).join('\n')).toContain('start-limit-hit');
    expect(await stateOf('pay.socket')).toBe('active');
    expect(await answer('pay')).toContain('"1"');
    expect(await deployJar('pay', '3')).toMatchObject(DONE);
    expect([await stateOf('pay.socket'), await answer('pay')]).toEqual(['active', '{"version":"3"}']);
    proved('unit', 'a bad version took its socket to the start limit; the rollback lifted it');
  });
  test('a socket of a package is stopped while dpkg replaces the files', async () => {
    const deployDeb = async (version: string, behaviour: Behaviour = 'good') =>
      await deploy('proxy', version, [await buildDeb(`${site.dir}/debs`, proxyDeb(version, behaviour))]);
    expect(await deployDeb('1')).toMatchObject(DONE);
    expect(await deployDeb('2')).toMatchObject(DONE);
    expect(await host.read('/run/proxy.unpacked')).toBe('2 inactive inactive\n');
    expect([await stateOf('proxy.socket'), await answer('proxy')]).toEqual(['active', '{"version":"2"}']);
    expect(await deployDeb('3', 'dies-when-asked')).toMatchObject(ROLLED_BACK);
    expect([await stateOf('proxy.socket'), await answer('proxy')]).toEqual(['active', '{"version":"2"}']);
  });
});

test('a path that a bad version took to its start limit is up after the rollback', async () => {
  // Its file was there before the first release: it failed then, and the first deployment starts it.
  expect(await deployJar('bell', '1')).toMatchObject(DONE);
  expect(await stateOf('bell.path')).toBe('active');
  expect(await deployJar('bell', '2', 'dies-at-once')).toMatchObject(ROLLED_BACK);
  expect([await stateOf('bell.path'), await answer('bell')]).toEqual(['active', '{"version":"1"}']);
});

test('a timer of a service that goes on running stays up', async () => {
  expect(await deployJar('tick', '1')).toMatchObject(DONE);
  expect([await stateOf('tick.timer'), await answer('tick')]).toEqual(['active', '{"version":"1"}']);
});

test('the oneshot of a timer is refused by name', async () => {
  const refused = await deployJar('job', '1');
  expect(refused).toMatchObject(REFUSED);
  expect(refused.said).toContain('job.service is a oneshot unit');
  expect(await stateOf('job.timer')).toBe('active');
});

test('an instance of a template runs the version; the template itself is refused by name', async () => {
  expect(await deployJar('shop', '1')).toMatchObject(DONE);
  expect(await answer('shop')).toBe('{"version":"1"}');
  const yaml = (await host.read('/etc/trigger-deploy/agent.yaml')) ?? '';
  await host.write('/run/other.yaml', yaml.replace('shop@1.service', 'shop@.service'));
  const { exitCode, output } = await host.agent('check', '--config', '/run/other.yaml');
  expect(exitCode).not.toBe(0);
  expect(output).toContain('shop@.service is a template; name an instance, such as shop@1.service');
});

test('a service with DynamicUser= runs the version as a user of its own', async () => {
  expect(await deployJar('guest', '1')).toMatchObject(DONE);
  const { MainPID } = await host.show('guest.service', 'MainPID');
  expect(Number(await host.ok(['stat', '-c', '%u', `/proc/${MainPID}`]))).toBeGreaterThan(1000);
});

test('a masked unit is refused by name', async () => {
  const refused = await deployJar('veil', '1');
  expect(refused).toMatchObject(REFUSED);
  expect(refused.said).toContain('veil.service is masked');
});

test('the service of a socket with Accept=yes is refused by name', async () => {
  const refused = await deployJar('call', '1');
  expect(refused).toMatchObject(REFUSED);
  expect(refused.said).toContain('call.service does not exist');
  expect(await stateOf('call.socket')).toBe('active');
});

test('a version in a crash loop is rolled back, long before the deadline of its check', async () => {
  expect(await deployJar('loop', '1')).toMatchObject(DONE);
  const begun = performance.now();
  const bad = await deployJar('loop', '2', 'dies-at-once');
  expect(bad).toMatchObject(ROLLED_BACK);
  expect(bad.said).toMatch(/crash loop|loop\.service did not start/);
  expect(performance.now() - begun).toBeLessThan(HALF_OF_DEADLINE);
  expect(await answer('loop')).toBe('{"version":"1"}');
});

describe('packages', () => {
  const deployCache = async (version: string, depends?: string, postinst?: string) => {
    const common = {
      name: 'cache-common',
      version,
      files: { '/usr/share/cache/note': version },
      ...(depends !== undefined && { control: { Depends: depends } }),
    };
    const main = serverDeb('cache', version, {
      port: host.port('cache'),
      conf: `# ${version}\n`,
      control: { Depends: `cache-common (= ${version})` },
      ...(postinst !== undefined && { scripts: { postinst } }),
    });
    const debs = `${site.dir}/debs`;
    return await deploy('cache', version, [await buildDeb(debs, main), await buildDeb(debs, common)]);
  };

  /** Of what is installed without a fault. */
  const versionsOfCache = async (names = ['cache', 'cache-common', 'cache-lib']) => {
    const fields = await Promise.all(names.map((name) => host.ok(['dpkg', '-s', name])));
    return fields.map((text) => /^Status: install ok installed$[\s\S]*^Version: (.+)$/m.exec(text)?.[1]);
  };

  test('split packages with one version are replaced together', async () => {
    expect(await deployCache('1')).toMatchObject(DONE);
    expect(await deployCache('2')).toMatchObject(DONE);
    expect(await versionsOfCache(['cache', 'cache-common'])).toEqual(['2', '2']);
  });

  test('a conffile that was changed, and a file that another package diverts, stay as they are', async () => {
    const other = await buildDeb(`${site.dir}/debs`, {
      name: 'override',
      version: '1',
      files: { '/usr/share/cache/note': 'of the other package' },
      scripts: { preinst: 'dpkg-divert --package override --add --rename /usr/share/cache/note' },
    });
    await host.write('/run/override.deb', '');
    await copyFile(other, host.seen('/run/override.deb'));
    await host.ok(['dpkg', '--install', '/run/override.deb']);
    expect(await deployCache('3')).toMatchObject(DONE);
    expect(await host.read('/usr/share/cache/note')).toBe('of the other package');
    expect(await host.read('/usr/share/cache/note.distrib')).toBe('3');
    expect(await host.read('/etc/cache.conf')).toBe(OPERATORS);
  });

  test('what only a companion needs is fetched with it, and comes back with the version before', async () => {
    const lib = (version: string) => buildDeb(`${site.dir}/debs`, { name: 'cache-lib', version });
    await offerByApt(host, await lib('4'));
    const good = await deployCache('4', 'cache-lib (= 4)');
    expect(good, good.said).toMatchObject(DONE);
    expect(await versionsOfCache()).toEqual(['4', '4', '4']);
    // The old one is not on offer any more. The postinst fails: everything was unpacked by then.
    await offerByApt(host, await lib('5'));
    const bad = await deployCache('5', 'cache-lib (= 5)', 'exit 3');
    expect(bad, bad.said).toMatchObject(ROLLED_BACK);
    expect(await versionsOfCache()).toEqual(['4', '4', '4']);
    expect(await answer('cache')).toContain('"4"');
  });
});

/** A package with a socket, whose scripts enable the socket and start it the first time only. */
function proxyDeb(version: string, behaviour: Behaviour) {
  return {
    name: 'proxy',
    version,
    files: {
      '/usr/lib/proxy/server': programOf(version, behaviour),
      '/usr/lib/systemd/system/proxy.service': '[Service]\nExecStart=/usr/lib/proxy/server\n',
      '/usr/lib/systemd/system/proxy.socket': socketUnit('proxy'),
    },
    scripts: {
      preinst: `if [ "$1" = upgrade ]; then echo ${version} $(systemctl is-active proxy.socket proxy.service) >/run/proxy.unpacked; fi`,
      postinst: 'systemctl daemon-reload; systemctl enable --quiet proxy.socket',
    },
  };
}

const socketUnit = (name: string) =>
  `[Socket]\nListenStream=127.0.0.1:${host.port(name)}\n[Install]\nWantedBy=sockets.target\n`;
