import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import { type AgentBehaviour, buildAgentDeb } from '../support/fleet/agent-debs.ts';
import type { Finished } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { during } from './support/during.ts';
import { payments } from './support/services.ts';
import { endingsOf, statusOf } from './support/settled.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** The agent deploys itself to a fleet: a good one, bad ones that systemd puts back, and the plug pulled meanwhile. */

const SELF = 'trigger-deploy-agent';
const GUARD = 'trigger-deploy-agent-update.service';
const AT_ONCE = ['--strategy', 'all'];
const STATE = '/var/lib/trigger-deploy/self-update';

let site: Site;
let watch: RecordWatch;
let hosts: [Host, Host];

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  hosts = (await Promise.all(
    ['i-0a1', 'i-0b2'].map(async (id) => {
      const host = await site.host(id);
      await host.boot();
      await host.configure({
        [SELF]: {
          package: { type: 'deb', name: SELF },
          // Also the time in which a good one must reach AWS, beside whatever else runs here.
          manager: { type: 'systemd', unit: AGENT_UNIT, startTimeout: '15s' },
          watch: '1s',
        },
        payments: await payments(host),
      });
      return host;
    }),
  )) as [Host, Host];
  expect(await publisher('push', 'payments', '1.0.0', await site.fleet.pack('1.0.0'))).toMatchObject({
    code: 0,
  });
  expect(await publisher('payments', '1.0.0')).toMatchObject({ code: 0 });
  // What the instances were made with came by other means: without its .deb there is no way back.
  await pushed(packageJson.version, inject('e2e').agentDeb);
});
afterAll(() => site?.stop());

const publisher = (...args: string[]) => site.fleet.publisher(...args, '--env', 'dev');
const said = ({ stdout, stderr }: Finished) => `${stdout}${stderr}`;

async function pushed(version: string, file: string): Promise<void> {
  const result = await publisher('push', SELF, version, file);
  expect(result, said(result)).toMatchObject({ code: 0 });
}

async function pushAgent(version: string, behaviour: AgentBehaviour): Promise<void> {
  await pushed(version, await buildAgentDeb(version, behaviour, join(site.dir, 'agents')));
}

/** This version is installed and runs, its guard is gone, there is one ending each, and `payments` never noticed. */
async function expectAgents(version: string, pids: readonly Record<string, string>[]): Promise<void> {
  for (const host of hosts) {
    await expect
      .poll(() => statusOf(host, SELF), { timeout: 30_000, interval: 500 })
      .toMatchObject({ version, undelivered: 0 });
    expect(await host.ok([SELF, '--version'])).toContain(version);
    const { MainPID } = await host.show(AGENT_UNIT, 'MainPID');
    expect(await host.ok(['readlink', `/proc/${MainPID}/exe`])).toBe(`/usr/lib/${SELF}/node\n`);
    await expect.poll(() => host.show(GUARD, 'LoadState')).toEqual({ LoadState: 'not-found' });
  }
  expect(await pidsOfPayments()).toEqual(pids);
  for (const [key, endings] of watch.endings) expect(endings, key).toHaveLength(1);
}

const pidsOfPayments = () => Promise.all(hosts.map((host) => host.show('payments.service', 'MainPID')));

test('one command brings the whole fleet to the next agent, and no service notices', async () => {
  const pids = await pidsOfPayments();
  await pushAgent('0.2.0', 'good');
  const result = await publisher(SELF, '0.2.0', ...AT_ONCE);
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectAgents('0.2.0', pids);
  proved('self-update', 'a good new agent on 2 instances: it finished the deployment of the old one');
});

test('a bad agent reaches the canary and no other instance: the agent is deployed in waves by default', async () => {
  const pids = await pidsOfPayments();
  await pushAgent('0.3.0', 'crashes');
  const result = await publisher(SELF, '0.3.0');
  expect(result, said(result)).toMatchObject({ code: 1 });
  const states = () => hosts.map((host) => endingsOf(site.fleet, host, SELF).at(-1)?.state).sort();
  await expect.poll(states, { message: said(result) }).toEqual(['cancelled', 'rolled-back']);
  await expectAgents('0.2.0', pids);
  proved(
    'self-update',
    'a new agent that crashes at once: rolled back on the canary, no other instance got it',
  );
});

test.each([
  ['hangs', '0.4.0', 'hangs'],
  ['starts and cannot reach its queue', '0.5.0', 'deaf'],
] as const)(
  'a new agent that %s is put back by systemd, and the old one reports it',
  async (what, version, behaviour) => {
    const pids = await pidsOfPayments();
    await pushAgent(version, behaviour);
    const result = await publisher(SELF, version, ...AT_ONCE);
    expect(result, said(result)).toMatchObject({ code: 1 });
    for (const host of hosts) {
      const ending = endingsOf(site.fleet, host, SELF).at(-1);
      expect(ending, said(result)).toMatchObject({ state: 'rolled-back', version, previous: '0.2.0' });
    }
    await expectAgents('0.2.0', pids);
    proved('self-update', `a new agent that ${what}: put back on 2 instances, rolled-back`);
  },
  480_000,
);

test('the plug pulled while systemd changes the agent, and a reboot while it proves itself, change no outcome', async () => {
  const [a, b] = hosts;
  await pushAgent('0.6.0', 'good');
  const pullPlug = async (host: Host) => {
    await host.powerOff();
    await host.boot();
  };
  const result = await during(
    site,
    [SELF, '0.6.0', ...AT_ONCE],
    [
      [
        a,
        'switching',
        async () => {
          await beganTo(a, 'order');
          await pullPlug(a);
          await beganTo(a, 'phase');
          await a.reboot();
        },
      ],
      [b, 'switching', () => beganTo(b, 'phase').then(() => pullPlug(b))],
    ],
  );
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectAgents('0.6.0', await pidsOfPayments());
  proved('self-update', 'two power-offs and a reboot in mid-update: succeeded, one ending');
});

test('`rollback` brings the agent before it back', async () => {
  const pids = await pidsOfPayments();
  const result = await publisher('rollback', SELF);
  expect(result, said(result)).toMatchObject({ code: 0 });
  await expectAgents('0.2.0', pids);
});

/** The guard's files: `order` is the update it must install, `phase` is there once it has installed. */
async function beganTo(host: Host, file: 'order' | 'phase'): Promise<void> {
  await expect.poll(() => host.read(join(STATE, file)), { interval: 20, timeout: 30_000 }).toBeDefined();
}
