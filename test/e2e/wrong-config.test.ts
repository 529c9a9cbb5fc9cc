import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { payments } from './support/services.ts';
import { AGENT_UNIT, type Host, openSite, type Site } from './support/site.ts';

/** A config with a mistake, under a booted systemd. */

const YAML = '/etc/trigger-deploy/agent.yaml';
/** More than four times RestartSec, ms. */
const SOME_RESTARTS = 22_000;

let site: Site;
let host: Host;

beforeAll(async () => {
  site = await openSite();
  host = await site.host('i-0a1');
  await host.boot();
  await host.configure({ payments: await payments(host) });
});
afterAll(() => site?.stop());

test('it fails `systemctl start` at once, is told in few lines, and its correction is enough to start the agent', async () => {
  const { stdout: good } = await host.run(['cat', YAML]);
  await host.ok(['systemctl', 'stop', AGENT_UNIT]);
  await host.write(YAML, good.replace(/^region: .*$/m, 'region: eu_west'));
  const before = (await host.journal()).length;
  expect((await host.run(['systemctl', 'start', AGENT_UNIT])).exitCode).not.toBe(0);
  const shown = (await host.run(['systemctl', 'status', '--no-pager', AGENT_UNIT])).stdout;
  expect(shown).toMatch(/78\/CONFIG|status=78/);
  await sleep(SOME_RESTARTS);
  const lines = (await host.journal()).slice(before);
  expect(lines.filter((line) => line.includes('region: expected an AWS region')).length).toBeLessThanOrEqual(
    2,
  );
  expect(lines.length).toBeLessThan(25);
  const { StatusText } = await host.show(AGENT_UNIT, 'StatusText');
  expect(StatusText).toMatch(/agent\.yaml.*region: expected an AWS region/);
  await host.write(YAML, good);
  await expect
    .poll(() => host.show(AGENT_UNIT, 'ActiveState'), { timeout: 60_000 })
    .toEqual({ ActiveState: 'active' });
  expect((await host.run(['systemctl', 'show', AGENT_UNIT, '-p', 'Environment'])).stdout).toContain(
    'HOME=/root',
  );
  proved('wrong-config', 'booted: the start fails at once, few lines, the correction is enough');
});
