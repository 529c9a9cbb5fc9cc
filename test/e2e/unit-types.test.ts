import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDeb } from '../support/fleet/debs.ts';
import type { ServiceYaml } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
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
  await writeUnits(host, {
    'pay.service': `[Service]\n${execStart('pay')}`,
    'pay.socket': socketUnit('pay'),
  });
  await host.ok(['systemctl', 'enable', '--now', 'pay.socket']);
  const services: Record<string, ServiceYaml> = {
    pay: jarService('pay', 'pay.service', host.port('pay')),
    proxy: {
      package: { type: 'deb', name: 'proxy' },
      manager: { type: 'systemd', unit: 'proxy.service' },
      checks: [
        {
          http: {
            url: `http://127.0.0.1:${host.port('proxy')}/`,
            body: '"version":"{version}"',
            deadline: '15s',
          },
        },
      ],
      watch: '500ms',
    },
  };
  await host.configure(services);
});
afterAll(() => site?.stop());

const publisher = (...args: string[]) => site.fleet.publisher(...args, '--env', 'dev');
const answer = (service: string) => get(`http://127.0.0.1:${host.port(service)}/`);
const stateOf = async (unit: string) => (await host.show(unit, 'ActiveState')).ActiveState;

async function deploy(service: string, version: string, files: readonly string[]) {
  const pushed = await site.fleet.publisher('push', service, version, ...files);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const { code, stdout, stderr } = await publisher(service, version);
  return { code, state: endingsOf(site.fleet, host, service).at(-1)?.state, said: `${stdout}${stderr}` };
}

const deployJar = async (service: string, version: string, behaviour: Behaviour = 'good') =>
  await deploy(service, version, [await writeProgram(`${site.dir}/${service}`, version, behaviour)]);

const DONE = { code: 0, state: 'succeeded' };
const ROLLED_BACK = { code: 1, state: 'rolled-back' };

describe('socket activation', () => {
  test('a socket that a bad version took to its start limit listens after the rollback, and the next deployment succeeds', async () => {
    expect(await deployJar('pay', '1')).toMatchObject(DONE);
    expect(await deployJar('pay', '2', 'dies-when-asked')).toMatchObject(ROLLED_BACK);
    expect((await host.journal('pay.socket')).join('\n')).toContain('start-limit-hit');
    expect(await stateOf('pay.socket')).toBe('active');
    expect(await answer('pay')).toContain('"1"');
    expect(await deployJar('pay', '3')).toMatchObject(DONE);
    expect([await stateOf('pay.socket'), await answer('pay')]).toEqual(['active', '{"version":"3"}']);
    proved('unit', 'a bad version took its socket to the start limit; the rollback lifted it');
  });
  test('while dpkg replaces the files, the socket of the package is stopped; then it listens again, also after a rollback', async () => {
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
