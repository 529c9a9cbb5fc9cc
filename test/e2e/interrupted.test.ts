import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import { archiveDownloads } from '../support/fleet/downloads.ts';
import { proved } from '../support/reliability.ts';
import { during } from './support/during.ts';
import { payments, versionOf } from './support/services.ts';
import { endingsOf, expectSettled } from './support/settled.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** Instances that are rebooted, and agents that are restarted or killed, in every state of a deployment. */

const HOOKS_LOG = '/var/log/drain.log';
const HOOK = `#!/bin/sh
echo "begin $TRIGGER_DEPLOY_DEPLOYMENT" >>${HOOKS_LOG}
sleep 1
echo "end $TRIGGER_DEPLOY_DEPLOYMENT" >>${HOOKS_LOG}
`;
/** Every state lasts a second or two, so that whatever is done to it is done in it. */
const UNHURRIED = { listenAfterMs: 1500 };

let site: Site;
let watch: RecordWatch;
let a: Host;
let b: Host;
let c: Host;

async function configured(host: Host): Promise<void> {
  await host.write('/usr/local/bin/drain', HOOK, 0o755);
  const slow = { hooks: { beforeStop: [{ run: ['/usr/local/bin/drain'] }] }, watch: '2s' };
  await host.configure({ payments: await payments(host, slow) });
}

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  [a, b, c] = (await Promise.all(
    ['i-0a1', 'i-0b2', 'i-0c3'].map(async (id) => {
      const host = await site.host(id);
      await host.boot();
      await configured(host);
      return host;
    }),
  )) as [Host, Host, Host];
  await push('1.0.0', UNHURRIED);
  expect(await site.fleet.publisher('payments', '1.0.0', '--env', 'dev')).toMatchObject({ code: 0 });
});
afterAll(() => site?.stop());

async function push(version: string, behaviour = {}): Promise<void> {
  const pushed = await site.fleet.publisher(
    'push',
    'payments',
    version,
    await site.fleet.pack(version, behaviour),
  );
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

const settled = (version: string) =>
  Promise.all([a, b, c].map((host) => expectSettled(host, 'payments', version, watch)));

test('an instance that reboots while it drains, starts or checks goes on after its boot, and succeeds', async () => {
  await push('1.1.0', UNHURRIED);
  const result = await during(
    site,
    ['payments', '1.1.0'],
    [
      [a, 'draining', () => a.reboot()],
      [b, 'starting', () => b.reboot()],
      [c, 'checking', () => c.reboot()],
    ],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  await settled('1.1.0');
  for (const host of [a, b, c]) {
    expect((await host.journal()).join('\n')).toMatch(/resuming the deployment after a reboot/);
  }
  proved('reboot', 'rebooted while draining, starting, checking: each went on and succeeded, one ending');
});

test('an instance that reboots while it watches, or on its way back, comes to the same end', async () => {
  // It answers twice 2 s after its start at the earliest: it ends in the middle of the 2 s for which it is watched.
  await push('1.2.0', { ...UNHURRIED, exitAfterMs: 3000 });
  const result = await during(
    site,
    ['payments', '1.2.0'],
    [
      [a, 'watching', () => a.reboot()],
      [b, 'back starting', () => b.reboot()],
      [c, 'back checking', () => c.reboot()],
    ],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 1 });
  await settled('1.1.0');
  for (const host of [a, b, c]) {
    expect(endingsOf(site.fleet, host, 'payments').at(-1)).toMatchObject({
      state: 'rolled-back',
      version: '1.2.0',
    });
  }
  proved(
    'reboot',
    'a bad version, rebooted while watching and twice on the way back: rolled back, one ending',
  );
});

test('an agent restarted by systemd in every state of a deployment finishes it; no hook is cut or doubled', async () => {
  await push('1.3.0', UNHURRIED);
  const restart = (host: Host) => () => host.ok(['systemctl', 'restart', AGENT_UNIT], { timeout: 90_000 });
  const states = ['accepted', 'preparing', 'draining', 'starting', 'checking', 'watching'];
  const result = await during(
    site,
    ['payments', '1.3.0'],
    [a, b].flatMap((host) => states.map((state) => [host, state, restart(host)] as const)),
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  await settled('1.3.0');
  for (const host of [a, b]) {
    const deployment = endingsOf(site.fleet, host, 'payments').at(-1)?.deployment;
    const lines = ((await host.read(HOOKS_LOG)) ?? '').trim().split('\n');
    expect(lines.filter((line) => line.endsWith(` ${deployment}`))).toEqual([
      `begin ${deployment}`,
      `end ${deployment}`,
    ]);
  }
  proved('restart', `systemctl restart in ${states.length} states of one deployment: succeeded, one ending`);
});

test('an agent killed in a deployment is started by systemd and finishes it', async () => {
  await push('1.4.0', UNHURRIED);
  const kill = (host: Host) => () => host.ok(['systemctl', 'kill', '-s', 'KILL', AGENT_UNIT]);
  const result = await during(
    site,
    ['payments', '1.4.0'],
    [
      [a, 'draining', kill(a)],
      [b, 'starting', kill(b)],
      [c, 'checking', kill(c)],
      [a, 'watching', kill(a)],
    ],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  await settled('1.4.0');
  proved('kill', 'under systemd: killed in 4 states, started again by it, succeeded');
});

test('a new instance that boots after the announcement comes up on the version by itself', async () => {
  const late = await site.host('i-0d4');
  await configured(late);
  await late.enable(AGENT_UNIT);
  const began = performance.now();
  await late.boot();
  await expectSettled(late, 'payments', '1.4.0', watch);
  proved('late', `booted after the announcement: on the version ${seconds(began)} after power-on`);
  await late.remove();
});

test('an instance copied from a running one, in mid-deploy, keeps the releases and has one ending of its own', async () => {
  await push('1.5.0', UNHURRIED);
  const copy = async () => {
    const clone = await site.host('i-0e5', { image: a.disk });
    await configured(clone);
    return clone;
  };
  let copied: Promise<Host> | undefined;
  const result = await during(
    site,
    // The instance of the test before is gone for good.
    ['payments', '1.5.0', '--allow-missing', '1'],
    [
      [
        a,
        'draining',
        async () => {
          copied = copy();
          await copied;
        },
      ],
    ],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  const clone = (await copied) as Host;
  const downloads = () => archiveDownloads(site.fleet);
  const before = downloads().length;
  await clone.boot();
  await expectSettled(clone, 'payments', '1.5.0', watch);
  await settled('1.5.0');
  expect(downloads().length - before).toBeLessThanOrEqual(1);
  expect((await clone.journal()).join('\n')).toContain('was copied from another instance');
  proved('clone', 'the disk of a booted instance copied in mid-deploy: converged, one ending of its own');
  await clone.remove();
});

test('a unit ordered after the agent starts at boot while AWS is unreachable', async () => {
  await b.write(
    '/etc/systemd/system/later.service',
    `[Unit]\nAfter=${AGENT_UNIT}\nRequires=${AGENT_UNIT}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n`,
  );
  await b.ok(['systemctl', 'daemon-reload']);
  await b.enable('later.service');
  const environment = (await b.read('/etc/default/trigger-deploy-agent')) ?? '';
  // Nothing listens on the discard port.
  await b.write(
    '/etc/default/trigger-deploy-agent',
    environment.replace(/^AWS_ENDPOINT_URL=.*$/m, 'AWS_ENDPOINT_URL=http://127.0.0.1:9'),
  );
  const began = performance.now();
  await b.reboot();
  expect(await b.show('later.service', 'ActiveState')).toEqual({ ActiveState: 'active' });
  expect(await b.show(AGENT_UNIT, 'ActiveState', 'NRestarts')).toEqual({
    ActiveState: 'active',
    NRestarts: '0',
  });
  await expect.poll(() => versionOf(b, 'payments')).toBe('1.5.0');
  proved(
    'outage',
    `booted without AWS: what is ordered after the agent ran ${seconds(began)} after the reboot`,
  );
  await b.write('/etc/default/trigger-deploy-agent', environment);
  const polling = b.polls();
  await b.ok(['systemctl', 'restart', AGENT_UNIT]);
  await polling;
});

const seconds = (began: number) => `${((performance.now() - began) / 1000).toFixed(1)} s`;
