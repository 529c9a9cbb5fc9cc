import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import { proved } from '../support/reliability.ts';
import { during } from './support/during.ts';
import { payments, versionOf } from './support/services.ts';
import { expectSettled, statusOf } from './support/settled.ts';
import { commandLine } from './support/shell.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** The agent's own package, from a bare Debian to its purge. Each test depends on those before it. */

const NEXT = '99.0.0';
/** What `systemd-analyze security` may give the unit at most, of 10. */
const EXPOSURE = 6;

let site: Site;
let watch: RecordWatch;
let host: Host;

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  host = await site.host('i-0a1', { bare: true });
  await host.boot();
});
afterAll(() => site?.stop());

async function install(file: string): Promise<string> {
  await copyFile(file, host.seen('/root/agent.deb'));
  return await host.ok(['dpkg', '-i', '/root/agent.deb'], { timeout: 120_000 });
}

async function deploy(version: string): Promise<void> {
  const result = await site.fleet.publisher('payments', version, '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
}

test('dpkg -i on a bare Debian starts nothing', async () => {
  await install(inject('e2e').agentDeb);
  expect(await host.show(AGENT_UNIT, 'ActiveState', 'UnitFileState')).toEqual({
    ActiveState: 'inactive',
    UnitFileState: 'disabled',
  });
  await host.reboot();
  expect(await host.show(AGENT_UNIT, 'ActiveState')).toEqual({ ActiveState: 'inactive' });
});

test('once configured and enabled it deploys', async () => {
  await host.configure({ payments: await payments(host) });
  for (const version of ['1.0.0', '1.1.0']) {
    await site.fleet.publisher('push', 'payments', version, await site.fleet.pack(version));
  }
  await deploy('1.0.0');
  await expectSettled(host, 'payments', '1.0.0', watch);
});

test('the journal of the unit has a line for each state, with the deployment and the service', async () => {
  const { lastDeployment } = await statusOf(host, 'payments');
  const lines = (await host.journal()).filter((line) => line.includes(String(lastDeployment)));
  for (const state of [
    'accepted',
    'draining',
    'switching',
    'starting',
    'checking',
    'watching',
    'succeeded',
  ]) {
    const mine = lines.filter((line) => line.includes('payments') && line.includes(state));
    expect(mine, `${state} in:\n${lines.join('\n')}`).not.toEqual([]);
  }
  expect(lines.find((line) => line.includes('succeeded'))).toContain('1.0.0');
});

test('what the unit leaves open to the agent stays within bounds', async () => {
  const { stdout } = await host.run(['systemd-analyze', 'security', '--no-pager', AGENT_UNIT]);
  const [line = '', exposure] = /Overall exposure level for [^:]*: ([\d.]+)[^\n]*/.exec(stdout) ?? [];
  process.stdout.write(`e2e: systemd-analyze security: ${line}\n`);
  expect(Number(exposure)).toBeLessThan(EXPOSURE);
});

test('an upgrade in mid-deploy keeps queue, journal and services, and the new agent finishes the deployment', async () => {
  const out = join(site.dir, 'debs');
  const architecture = (await host.ok(['dpkg', '--print-architecture'])).trim();
  await commandLine(
    [
      process.execPath,
      'systemd/package.ts',
      '--only',
      'agent',
      '--arch',
      architecture,
      '--version',
      NEXT,
      '--out',
      out,
    ],
    { timeout: 120_000 },
  );
  await site.fleet.publisher(
    'push',
    'payments',
    '1.2.0',
    await site.fleet.pack('1.2.0', { listenAfterMs: 4000 }),
  );
  const queues = () =>
    site.fleet.cloud.requests.filter(
      ({ operation }) => operation === 'CreateQueue' || operation === 'DeleteQueue',
    );
  const result = await during(
    site,
    ['payments', '1.2.0'],
    [[host, 'checking', () => install(join(out, `trigger-deploy-agent_${NEXT}_${architecture}.deb`))]],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  await expectSettled(host, 'payments', '1.2.0', watch);
  expect(queues().filter(({ queue }) => queue?.endsWith(host.id)).length).toBeLessThanOrEqual(1);
  expect(await host.ok(['trigger-deploy-agent', '--version'])).toContain(NEXT);
  const { MainPID } = await host.show(AGENT_UNIT, 'MainPID');
  expect(await host.ok(['readlink', `/proc/${MainPID}/exe`])).not.toContain('deleted');
  proved(
    'restart',
    'the agent upgraded by dpkg while checking: the new one finished the deployment, one ending',
  );
});

test('a removal stops the agent, and nothing that it deployed', async () => {
  const before = await host.show('payments.service', 'MainPID');
  await host.ok(['dpkg', '--remove', 'trigger-deploy-agent']);
  expect(await host.show(AGENT_UNIT, 'ActiveState')).toMatchObject({ ActiveState: 'inactive' });
  expect(await host.show('payments.service', 'MainPID')).toEqual(before);
  expect(await host.read('/etc/trigger-deploy/agent.yaml')).toContain('payments');
});

test('installed again it continues with its old state', async () => {
  const polling = host.polls();
  await install(inject('e2e').agentDeb);
  await host.ok(['systemctl', 'start', AGENT_UNIT]);
  await polling;
  expect(await statusOf(host, 'payments')).toMatchObject({ version: '1.2.0', state: 'succeeded' });
});

test('a purge removes everything of the agent, and nothing that it deployed', async () => {
  await host.ok(['dpkg', '--purge', 'trigger-deploy-agent']);
  await host.ok(['rm', '/root/agent.deb']);
  const left = await host.ok([
    ...[
      'find',
      '/etc',
      '/usr',
      '/var',
      '/run',
      '/root',
      '-xdev',
      '-name',
      '*trigger-deploy*',
      '-not',
      '-path',
      '/proc/*',
    ],
  ]);
  expect(left).toBe('');
  expect(await versionOf(host, 'payments')).toBe('1.2.0');
});
