import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import { payments, versionOf } from './support/services.ts';
import { expectSettled } from './support/settled.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** The same story by an agent that is not root: the drop-in and the polkit rule that its package carries. */

const USER = 'trigger-deploy';
const OWN = '/usr/lib/trigger-deploy-agent/unprivileged';
const DROP_IN = `/etc/systemd/system/${AGENT_UNIT}.d/unprivileged.conf`;
const POSTINST = '/var/lib/dpkg/info/trigger-deploy-agent.postinst';

let site: Site;
let watch: RecordWatch;
let hosts: Host[];

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  hosts = await Promise.all(
    ['i-0a1', 'i-0b2'].map(async (id) => {
      const host = await site.host(id);
      await host.boot();
      await dropRoot(host);
      await host.configure({ payments: await payments(host) });
      return host;
    }),
  );
});
afterAll(() => site?.stop());

/** As the head of unprivileged.conf says. */
async function dropRoot(host: Host): Promise<void> {
  await host.ok([
    'useradd',
    '--system',
    '--home-dir',
    '/var/lib/trigger-deploy',
    '--shell',
    '/usr/sbin/nologin',
    USER,
  ]);
  await host.ok(['install', '-d', '-o', USER, '-g', USER, '/opt/payments']);
  await host.ok(['install', '-D', '-m', '644', `${OWN}/unprivileged.conf`, DROP_IN]);
  const rules = '/etc/polkit-1/rules.d/';
  await host.ok(['install', '-m', '644', `${OWN}/50-trigger-deploy-agent.rules`, rules]);
  await host.ok(['systemctl', 'daemon-reload']);
}

const versions = () => Promise.all(hosts.map((host) => versionOf(host, 'payments')));
const publisher = (...args: string[]) => site.fleet.publisher(...args, '--env', 'dev');

async function push(version: string, behaviour = {}): Promise<void> {
  const result = await publisher('push', 'payments', version, await site.fleet.pack(version, behaviour));
  expect(result, result.stderr).toMatchObject({ code: 0 });
}

test('the agent runs as a user of its own', async () => {
  for (const host of hosts) {
    const { MainPID } = await host.show(AGENT_UNIT, 'MainPID');
    expect((await host.ok(['stat', '-c', '%U', `/proc/${MainPID}`])).trim()).toBe(USER);
  }
});

test('`check` by root judges with the rights of the user of the agent', async () => {
  const [host] = hosts as [Host];
  const good = await host.agent('check');
  expect(good, good.output).toMatchObject({ exitCode: 0 });
  expect(good.output).toContain(`the agent runs as ${USER} (User= of ${AGENT_UNIT})`);
  // Root can write there; the agent cannot.
  await host.ok(['chown', 'root:root', '/opt/payments']);
  const bad = await host.agent('check');
  expect(bad.exitCode).not.toBe(0);
  expect(bad.output).toContain('/opt/payments');
  await host.ok(['chown', `${USER}:${USER}`, '/opt/payments']);
});

test.each(['1.0.0', '1.1.0'])('%s is pushed and deployed', async (version) => {
  await push(version);
  const result = await publisher('payments', version);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual([version, version]);
});

test('a version that cannot start is rolled back, with the words of its log', async () => {
  await push('1.2.0', { exitAtStart: true });
  const result = await publisher('payments', '1.2.0');
  expect(result, result.stderr).toMatchObject({ code: 1 });
  expect(result.stdout).toContain('table "ledger" does not exist');
  expect(await versions()).toEqual(['1.1.0', '1.1.0']);
});

test('`rollback` brings back the version before', async () => {
  const result = await publisher('rollback', 'payments');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  for (const host of hosts) await expectSettled(host, 'payments', '1.0.0', watch);
});

test('`status` shows it, on every instance', async () => {
  const { stdout, code } = await publisher('status', 'payments', '--output', 'json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    desired: { version: '1.0.0' },
    instances: hosts.map(() => ({ version: '1.0.0', active: true, drift: false })),
  });
});

test('polkit lets it restart its own units and no other, and start none', async () => {
  const [host] = hosts as [Host];
  const order = async (...args: string[]) =>
    (await host.run(['runuser', '-u', USER, '--', 'systemctl', '--no-ask-password', ...args])).exitCode;
  expect(await order('restart', 'payments.service')).toBe(0);
  expect(await order('restart', 'systemd-journald.service')).not.toBe(0);
  expect(await order('stop', 'payments.service')).toBe(0);
  expect(await order('start', 'payments.service')).not.toBe(0);
  expect(await order('restart', 'payments.service')).toBe(0);
});

test('what the unit then leaves open is little', async () => {
  const [host] = hosts as [Host];
  const { stdout } = await host.run(['systemd-analyze', 'security', '--no-pager', AGENT_UNIT]);
  const [line = '', exposure] = /Overall exposure level for [^:]*: ([\d.]+)[^\n]*/.exec(stdout) ?? [];
  process.stdout.write(`e2e: unprivileged: ${line}\n`);
  expect(Number(exposure)).toBeLessThan(3);
});

test('an update says so where a drop-in is older than `NotifyAccess=main` of the unit', async () => {
  const [host] = hosts as [Host];
  // Without the restart, which would not come to its end.
  const update = ['env', 'TRIGGER_DEPLOY_SELF_UPDATE=1', POSTINST, 'configure', '0.0.1'];
  expect(await host.run(update)).toMatchObject({ exitCode: 0, output: '' });
  await host.ok(['sed', '-i', '/^NotifyAccess=/d', DROP_IN]);
  const said = await host.run(update);
  expect(said).toMatchObject({ exitCode: 0 });
  expect(said.output).toContain('the drop-in with User= needs NotifyAccess=all');
});
