import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RecordWatch, watchRecord } from '../fault/support/publisher/record-watch.ts';
import type { Finished } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { DEBIANS, dpkgState, lighttpd, lighttpdVersion, repack } from './support/lighttpd.ts';
import { payments, versionOf } from './support/services.ts';
import { endingsOf, expectSettled } from './support/settled.ts';
import { type Host, openSite, type Site } from './support/site.ts';

/**
 * systemd executes itself anew every 0.3 s, as the maintainer scripts of libc6 and of systemd make it do once, while
 * versions are deployed, rolled back and installed by dpkg. It cuts every connection each time.
 */

const EVERY_S = '0.3';
const REEXEC = 'reexec.service';

let site: Site;
let watch: RecordWatch;
let host: Host;

beforeAll(async () => {
  site = await openSite();
  watch = watchRecord(site.fleet.cloud);
  host = await site.host('i-0a1');
  await host.boot();
  await host.configure({ payments: await payments(host), lighttpd: await lighttpd(host) });
  await push('lighttpd', DEBIANS, inject('e2e').lighttpd);
  await host.write(
    `/etc/systemd/system/${REEXEC}`,
    `[Service]\nExecStart=/bin/sh -c 'while :; do systemctl daemon-reexec; echo >>/run/reexecs; sleep ${EVERY_S}; done'\n`,
  );
  await host.ok(['systemctl', 'daemon-reload']);
});
afterAll(() => site?.stop());

async function push(service: string, version: string, file: string): Promise<void> {
  const pushed = await site.fleet.publisher('push', service, version, file);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

const pushPayments = async (version: string, behaviour = {}) =>
  push('payments', version, await site.fleet.pack(version, behaviour));

const said = ({ stdout, stderr }: Finished) => `${stdout}${stderr}`;

/** Deploys while systemd executes itself anew again and again. Returns how often it did. */
async function deployMeanwhile(...args: string[]): Promise<{ result: Finished; times: number }> {
  await host.run(['rm', '-f', '/run/reexecs']);
  await eventually(['systemctl', 'start', '--no-block', REEXEC]);
  const result = await site.fleet.publisher(...args, '--env', 'dev');
  await eventually(['systemctl', 'stop', REEXEC]);
  return { result, times: ((await host.read('/run/reexecs')) ?? '').length };
}

/** This test's own calls are cut as well. */
const eventually = (argv: string[]) =>
  expect.poll(() => host.run(argv), { interval: 200 }).toMatchObject({ exitCode: 0 });

/** Nothing of the agent and no service of it is left as a failed unit. */
async function expectNoFailedUnits(): Promise<void> {
  const failed = await host.ok(['systemctl', 'list-units', '--failed', '--plain', '--no-legend']);
  expect(failed).not.toMatch(/trigger-deploy|payments|lighttpd/);
}

test('a first version that fails, while systemd executes itself anew, is stopped and leaves no failed unit', async () => {
  await pushPayments('0.9.0', { exitAtStart: true });
  const { result, times } = await deployMeanwhile('payments', '0.9.0');
  expect(result, said(result)).toMatchObject({ code: 1 });
  expect(times).toBeGreaterThan(3);
  expect(endingsOf(site.fleet, host, 'payments').at(-1)).toMatchObject({ state: 'rolled-back' });
  await expectNoFailedUnits();
});

test('good versions succeed while systemd executes itself anew', async () => {
  let cuts = 0;
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
    await pushPayments(version);
    const { result, times } = await deployMeanwhile('payments', version);
    expect(result, said(result)).toMatchObject({ code: 0 });
    cuts += times;
  }
  await expectSettled(host, 'payments', '1.2.0', watch);
  await expectNoFailedUnits();
  proved('reexec', `systemctl daemon-reexec ${cuts} times in 3 deployments: all succeeded`);
});

test('bad versions are rolled back while systemd executes itself anew', async () => {
  let cuts = 0;
  for (const [version, behaviour] of [
    ['1.3.0', { exitAtStart: true }],
    ['1.4.0', { exitAfterMs: 1500 }],
  ] as const) {
    await pushPayments(version, behaviour);
    const { result, times } = await deployMeanwhile('payments', version);
    expect(result, said(result)).toMatchObject({ code: 1 });
    expect(endingsOf(site.fleet, host, 'payments').at(-1)).toMatchObject({ state: 'rolled-back', version });
    expect(await versionOf(host, 'payments')).toBe('1.2.0');
    cuts += times;
  }
  await expectSettled(host, 'payments', '1.2.0', watch);
  await expectNoFailedUnits();
  proved('reexec', `systemctl daemon-reexec ${cuts} times in 2 rollbacks: both rolled back`);
});

test('dpkg installs, fails and restores while systemd executes itself anew, and leaves nothing behind', async () => {
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
  await expectNoFailedUnits();
  const times = first.times + second.times + third.times;
  proved('reexec', `systemctl daemon-reexec ${times} times in 4 runs of dpkg: installed and restored`);
});
