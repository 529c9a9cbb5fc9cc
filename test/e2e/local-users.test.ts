import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRecord } from '../../agent/host/releases/release-record.ts';
import { newUlid } from '../../shared/names.ts';
import type { ServiceYaml } from '../support/fleet/fleet.ts';
import {
  by,
  INTRUDE,
  inUnit,
  isAlive,
  leave,
  letIn,
  OTHER_USER,
  orderBy,
  outcomesOf,
  SECRET,
  SECRET_DIR,
  SERVICE_USER,
  secretsIn,
  stateOf,
  takePid,
} from './support/intruder.ts';
import { KIOSKS, kiosk } from './support/kiosks.ts';
import { deployLocally } from './support/local-deploy.ts';
import { PLANTS } from './support/plants.ts';
import { get } from './support/services.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';
import { execStart, jarService, writeProgram, writeUnits } from './support/units.ts';

/** What users of a booted instance try against an agent that runs as root: see docs/SECURITY.md. */

const WATCHDOG_S = 10;
const STATE = '/var/lib/trigger-deploy';
/** Of releases of one service: those that `keep` keeps, and the most that stay because processes use them. */
const RELEASES_AT_MOST = 3 + 3;
const HELD = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'];

let site: Site;
let host: Host;
let started: Record<string, string>;

beforeAll(async () => {
  site = await openSite();
  host = await site.host('i-0a1');
  await host.boot();
  await letIn(host);
  const runs = (name: string) => `[Service]\nUser=${SERVICE_USER}\n${execStart(name, host.port(name))}`;
  await writeUnits(host, {
    [`${AGENT_UNIT}.d/watchdog.conf`]: `[Service]\nWatchdogSec=${WATCHDOG_S}s\n`,
    'payments.service': runs('payments'),
    'till.service': runs('till'),
    'stall.service': `[Service]\nUser=${SERVICE_USER}\nExecStart=/usr/lib/trigger-deploy-agent/node /opt/stall/current/server.mjs ${host.port('stall')}\n`,
  });
  const jar = (name: string, more: ServiceYaml = {}): ServiceYaml => {
    const service = jarService(name, `${name}.service`, host.port(name));
    return { ...service, package: { ...(service.package as ServiceYaml), ...more } };
  };
  const intrude = { run: [INTRUDE, 'hook'], user: OTHER_USER };
  await host.configure({
    payments: { ...jar('payments'), hooks: { afterStart: [intrude] } },
    till: jar('till', { adopt: { path: '/srv/shop/till/till.jar', version: '0' } }),
    stall: jar('stall', { type: 'archive', adopt: { path: '/srv/shop/stall', version: '0' } }),
    ...Object.fromEntries(KIOSKS.map((name) => [name, kiosk(name)])),
  });
});
afterAll(() => site?.stop());

const answer = (service: string) => get(`http://127.0.0.1:${host.port(service)}/`);
const unitOf = () =>
  host.show(
    AGENT_UNIT,
    ...['MainPID', 'InvocationID', 'ActiveState', 'SubState', 'Result', 'NRestarts'],
    ...['NotifyAccess', 'WatchdogUSec', 'StatusErrno', 'NFileDescriptorStore', 'ControlPID'],
  );

/** It takes up what it finds, and cleans up. */
async function restartAgent(): Promise<void> {
  const polling = host.polls();
  await host.ok(['systemctl', 'restart', AGENT_UNIT]);
  await polling;
  started = await unitOf();
}

async function deploy(service: string, version: string) {
  const program = () => writeProgram(join(site.dir, service), version);
  const built = await (service === 'stall' ? site.fleet.pack(version) : program());
  return await deployLocally(host, service, version, built);
}

describe('a local user cannot change what a deployment writes', () => {
  test('before, the first version is deployed', async () => {
    const first = await deploy('payments', '1');
    expect(first, first.output).toMatchObject({ isDone: true });
  });

  test.each(PLANTS)('$how: refused, and nothing is touched', async ({ open, user, attack, close }) => {
    await host.ok(['sh', '-euc', open]);
    const attacked = await by(host, user, attack);
    expect(attacked, attacked.output).toMatchObject({ exitCode: 0 });
    const before = await stateOf(host, '/etc', '/opt');
    const { isDone, output } = await deploy('payments', '2');
    expect(isDone).toBe(false);
    expect(output).toMatch(
      /NOT_READY: \/\S+ (belongs to the user|can be written by|is a symbolic link)|current points at \/root\/secret/,
    );
    expect(await stateOf(host, '/etc', '/opt')).toBe(before);
    await restartAgent();
    expect(await stateOf(host, '/etc', '/opt')).toBe(before);
    expect(await answer('payments')).toBe('{"version":"1"}');
    await host.ok(['sh', '-euc', close]);
  });

  test('after root has set it right, the version is deployed', async () => {
    const good = await deploy('payments', '2');
    expect(good, good.output).toMatchObject({ isDone: true });
    expect(await answer('payments')).toBe('{"version":"2"}');
  });
});

describe('systemd believes the agent only', () => {
  const refused = async () =>
    (await host.journal()).filter((line) => line.includes('reception only permitted for main PID'));

  test('not a hook of another user, in the control group of the agent', async () => {
    expect(await outcomesOf(host, 'hook')).toBeDefined();
    // Its hook has run at both deployments, with 18 messages each time.
    expect((await refused()).length).toBeGreaterThanOrEqual(18);
    expect(await unitOf()).toEqual(started);
  });

  test('not a service of the `command` manager, nor a local user outside', async () => {
    const before = (await refused()).length;
    const all = await Promise.all(KIOSKS.map((name) => deploy(name, '1')));
    for (const { isDone, output } of all) expect(isDone, output).toBe(true);
    for (const name of KIOSKS) expect(await outcomesOf(host, name)).toBeDefined();
    expect((await refused()).length).toBeGreaterThan(before);
    await inUnit(host, OTHER_USER, `${INTRUDE} outside`);
    const shell = await by(host, OTHER_USER, `${INTRUDE} shell`);
    expect(shell, shell.output).toMatchObject({ exitCode: 0 });
    expect(await unitOf()).toEqual(started);
    expect((await host.show(AGENT_UNIT, 'StatusText')).StatusText).not.toContain('intruder');
  });
});

describe('`adopt` takes what is the user’s and no secret', () => {
  const put = (script: string) => by(host, SERVICE_USER, `cd /srv/shop; rm -rf till; ${script}`);
  const hardLink = (secret: string) => async () => {
    // The kernel says no where fs.protected_hardlinks is on; root makes the link as if it were off.
    await put(`mkdir till; ln ${secret} till/till.jar`);
    await host.ok(['ln', '-f', secret, '/srv/shop/till/till.jar']);
  };

  test.each([
    [
      'a link to a secret',
      () => put(`mkdir till; ln -s ${SECRET_DIR}/till.jar till/till.jar`),
      'is a link in',
    ],
    ['a link of its directory', () => put(`ln -s ${SECRET_DIR} till`), 'is a link in'],
    ['a hard link to a secret', hardLink(`${SECRET_DIR}/till.jar`), 'is a hard link to a private file'],
    ['a hard link to /etc/shadow', hardLink('/etc/shadow'), 'is a hard link to a private file'],
    ['a FIFO', () => put('mkdir till; mkfifo till/till.jar'), 'is neither a file nor a directory'],
  ])('%s is refused', async (_, attack, why) => {
    await attack();
    const before = await stateOf(host, '/etc/shadow', '/srv/shop');
    const { isDone, output } = await deploy('till', '1');
    expect(isDone).toBe(false);
    expect(output).toContain(why);
    expect(await stateOf(host, '/etc/shadow', '/srv/shop')).toBe(before);
    expect(await secretsIn(host, '/opt/till')).toBe('');
    expect(await host.run(['test', '-e', '/opt/till/current'])).not.toMatchObject({ exitCode: 0 });
  });

  test("the user's own private file is adopted with its owner and its mode", async () => {
    await put('mkdir till; echo own >till/till.jar; chmod 600 till/till.jar');
    const { isDone, output } = await deploy('till', '1');
    expect(isDone, output).toBe(true);
    const place = '/opt/till/releases/0/till.jar';
    expect(await host.read(place)).toBe('own\n');
    expect(await host.ok(['stat', '-c', '%U %a', place])).toBe('shop 600\n');
  });

  test('a directory that becomes a link while it is adopted leads to no secret', async () => {
    const many =
      'i=0; while [ $i -lt 300 ]; do echo $i >sub/$i; i=$((i+1)); done; ln -s /etc/shadow sub/shadow';
    await by(host, SERVICE_USER, `mkdir /srv/shop/stall; cd /srv/shop/stall; mkdir sub; ${many}`);
    const swap = `chdir '/srv/shop/stall'; symlink '${SECRET_DIR}', 'link'; while (1) { rename 'sub', 'away'; rename 'link', 'sub'; rename 'sub', 'link'; rename 'away', 'sub' }`;
    const before = await stateOf(host, SECRET_DIR);
    await leave(host, 'swapper', SERVICE_USER, ['perl', '-e', swap]);
    let isDone = false;
    for (let tries = 0; tries < 3 && !isDone; tries += 1) {
      ({ isDone } = await deploy('stall', `1.${tries}`));
      expect(await secretsIn(host, '/opt/stall')).toBe('');
    }
    await host.ok(['systemctl', 'stop', 'swapper']);
    expect(await stateOf(host, SECRET_DIR)).toBe(before);
    const good = await deploy('stall', '2');
    expect(good.isDone, good.output).toBe(true);
    expect(await secretsIn(host, '/opt/stall')).toBe('');
  });
});

test('old releases in which a user keeps programs and files are removed, all but three', async () => {
  for (const version of HELD) {
    await host.ok(['cp', '-a', '/opt/payments/releases/1', `/opt/payments/releases/${version}`]);
    const record = { v: 1 as const, version, artifacts: [], preparedAt: '2020-01-01T00:00:00.000Z' };
    await writeRecord(host.seen(`/opt/payments/releases/${version}`), record);
  }
  const hold = `my @open; for my $v (qw(${HELD.join(' ')})) {
    chdir "/opt/payments/releases/$v" or die; for (1 .. 20) { fork or exec 'sleep', '1000' }
    for (1 .. 5000) { open my $file, '<', 'payments.jar' or die; push @open, $file }
  } $0 = 'holding'; sleep 1000`;
  const pid = await leave(host, 'holder', OTHER_USER, ['perl', '-e', hold]);
  await expect.poll(() => host.read(`/proc/${pid}/cmdline`)).toContain('holding');
  const began = performance.now();
  const { isDone, output } = await deploy('payments', '3');
  expect(isDone, output).toBe(true);
  expect(performance.now() - began).toBeLessThan(20_000);
  const releases = async () => (await host.ok(['ls', '/opt/payments/releases'])).split('\n').filter(Boolean);
  await expect.poll(async () => (await releases()).length).toBeLessThanOrEqual(RELEASES_AT_MOST);
  expect(await releases()).toEqual(expect.arrayContaining(['1', '2', '3']));
  await host.ok(['systemctl', 'stop', 'holder']);
});

describe('the order spool is of root alone', () => {
  const seenOrders = async () =>
    (await host.journal()).filter((line) => line.includes('orders there are ignored'));

  test('while an order is carried out, a user neither adds to it nor reads its files', async () => {
    expect(await outcomesOf(host, 'hook')).toEqual([]);
    // An operator may have let everybody look there.
    await host.ok(['chmod', '755', STATE]);
    const { isDone, output } = await deploy('payments', '4');
    expect(isDone, output).toBe(true);
    expect(await outcomesOf(host, 'hook')).toEqual([]);
    const attacked = await by(host, OTHER_USER, orderBy(newUlid(Date.now())));
    expect(attacked.output).toContain('Permission denied');
  });

  test('what a user put there while everybody could write is never carried out', async () => {
    const deployment = newUlid(Date.now());
    await host.ok(['chmod', '777', `${STATE}/local`]);
    const attacked = await by(host, OTHER_USER, orderBy(deployment));
    expect(attacked, attacked.output).toMatchObject({ exitCode: 0 });
    await expect.poll(seenOrders).not.toEqual([]);
    await host.ok(['chmod', '700', `${STATE}/local`]);
    const { isDone, output } = await deploy('payments', '5');
    expect(isDone, output).toBe(true);
    expect(await answer('payments')).toBe('{"version":"5"}');
    expect((await host.journal()).join('\n')).not.toContain(deployment);
    await host.ok(['chmod', '700', STATE]);
  });
});

test('a pid file makes the agent kill no process of another user', async () => {
  const victim = await leave(host, 'victim', 'root', ['sleep', '1000']);
  const other = await leave(host, 'other', OTHER_USER, ['sleep', '1000']);
  const own = await leave(host, 'own', SERVICE_USER, ['sleep', '1000']);
  // A service of root keeps its pid where only root can write, under a name that another service has too.
  await host.write('/run/victim/victim.pid', `${victim}\n`);
  const attacked = await by(
    host,
    SERVICE_USER,
    `cd /srv/shop; echo ${other} >stranger.pid; echo 1 >first.pid; ln -s /run/victim run; echo ${own} >reused.pid`,
  );
  expect(attacked, attacked.output).toMatchObject({ exitCode: 0 });
  const taken = takePid(host, own);
  const results = await Promise.all(KIOSKS.map((name) => deploy(name, '2')));
  await taken;
  expect(results.map(({ isDone }) => isDone)).toEqual([false, false, false, true]);
  const said = Object.fromEntries(KIOSKS.map((name, i) => [name, results[i]?.output]));
  expect(said.stranger).toContain(`not killed: /srv/shop/stranger.pid is written by the user`);
  expect(said.first).toContain('not killed: /srv/shop/first.pid names pid 1');
  for (const pid of [victim, other, own]) {
    expect(await isAlive(host, pid), String(pid)).toBe(true);
  }
  expect(await host.ok(['stat', '-c', '%U', `/proc/${own}`])).toBe('root\n');
  expect(said.through).toContain('not killed: /srv/shop/run is a link');
});

test('all the while the agent has run and fed its watchdog, and says what it does', async () => {
  await expect
    .poll(async () => {
      const [uptime] = ((await host.read('/proc/uptime')) ?? '').split(' ');
      const { ActiveEnterTimestampMonotonic } = await host.show(AGENT_UNIT, 'ActiveEnterTimestampMonotonic');
      return Number(uptime) - Number(ActiveEnterTimestampMonotonic) / 1e6;
    })
    .toBeGreaterThan(2 * WATCHDOG_S);
  expect(await unitOf()).toEqual(started);
  expect(started).toMatchObject({
    ActiveState: 'active',
    SubState: 'running',
    NRestarts: '0',
    NotifyAccess: 'main',
  });
  await expect
    .poll(async () => (await host.show(AGENT_UNIT, 'StatusText')).StatusText)
    .toBe('waiting for announcements');
  expect(await host.ok(['cat', `${SECRET_DIR}/till.jar`])).toBe(`${SECRET}\n`);
});
