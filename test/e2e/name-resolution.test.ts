import { afterAll, beforeAll, expect, test } from 'vitest';
import { startFaultProxy } from '../support/cloud/fault-proxy.ts';
import { proved } from '../support/reliability.ts';
import { payments, versionOf } from './support/services.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** An instance that knows AWS by a name, as every instance does, and for a while cannot look names up. */

const NAME = 'aws';
const NAMED = `127.0.0.1 localhost ${NAME}\n`;
const NAMELESS = '127.0.0.1 localhost\n';

let site: Site;
let proxy: Awaited<ReturnType<typeof startFaultProxy>>;
let host: Host;

beforeAll(async () => {
  site = await openSite();
  proxy = await startFaultProxy(site.fleet.cloud.endpoint);
  host = await site.host('i-0a1', { endpoint: proxy.endpoint.replace('127.0.0.1', NAME) });
  await host.boot();
  await host.write('/etc/hosts', NAMED);
  // A name server that is not there: what is not in the file above is not found.
  await host.write('/etc/resolv.conf', 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  await host.configure({ payments: await payments(host) });
  for (const version of ['1.0.0', '1.1.0']) {
    await publisher('push', 'payments', version, await site.fleet.pack(version));
  }
  await publisher('payments', '1.0.0', '--env', 'dev');
});
afterAll(async () => {
  await site?.stop();
  await proxy?.stop();
});

async function publisher(...args: string[]): Promise<string> {
  const result = await site.fleet.publisher(...args);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  return result.stdout;
}

test('without names the service and the agent run on, and what is announced meanwhile is deployed afterwards', async () => {
  const { MainPID } = await host.show('payments.service', 'MainPID');
  await host.write('/etc/hosts', NAMELESS);
  proxy.hangUp();
  await expect
    .poll(() => host.journal(), { timeout: 60_000, interval: 500 })
    .toContainEqual(expect.stringMatching(/receiving failed.*AWS does not answer \((EAI_AGAIN|ENOTFOUND)\)/));
  const announced = await publisher('payments', '1.1.0', '--env', 'dev', '--no-wait', '--output', 'json');
  const { deployment } = JSON.parse(announced.slice(0, announced.indexOf('\n')));
  expect(await host.show('payments.service', 'MainPID')).toEqual({ MainPID });
  expect(await versionOf(host, 'payments')).toBe('1.0.0');

  await host.write('/etc/hosts', NAMED);
  await publisher('watch', deployment, '--env', 'dev');
  expect(await versionOf(host, 'payments')).toBe('1.1.0');
  const unit = await host.show(AGENT_UNIT, 'ActiveState', 'NRestarts');
  expect(unit).toEqual({ ActiveState: 'active', NRestarts: '0' });
  proved('outage', 'an instance without names: deployed once they resolved again');
});
