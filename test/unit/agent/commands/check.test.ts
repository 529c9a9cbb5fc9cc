import { expect, test } from 'vitest';
import { check, type Finding } from '../../../../agent/commands/check.ts';
import type { Wiring } from '../../../../agent/commands/deps.ts';
import { parseAgentConfig } from '../../../../agent/config.ts';
import type { ServiceStatus } from '../../../../agent/deploy/ports.ts';
import { parseShow, statusOf } from '../../../../agent/host/services/systemd.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';

/** What `check` makes of one service; all else about the instance is well. */

const UNIT = '{ type: systemd, unit: pay.service }';
const COMMANDS = '{ type: command, start: [/srv/up], stop: [/srv/down], status: [/srv/ask] }';

async function findings(
  status: () => Promise<ServiceStatus>,
  { manager = UNIT, pkg = '{ type: jar, dir: /opt/pay }', problems = [] as string[] } = {},
): Promise<Finding[]> {
  const config = parseAgentConfig(
    `
env: dev
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
trust: none
services:
  pay:
    package: ${pkg}
    manager: ${manager}
`,
    'agent.yaml',
  );
  const wiring: Partial<Wiring> = {
    config,
    keys: async () => [],
    identify: async () => ({ env: 'dev', instance: 'i-1', zone: undefined, agentVersion: '0' }),
    queueOf: () => ({ probe: async () => [], leave: async () => {} }),
    probeBucket: async () => [],
    inspect: async () => problems.map((problem) => ({ problem, hint: 'mend it' })),
    managerOf: () => ({
      status,
      restart: status,
      stop: async () => {},
      logTail: async () => '',
    }),
  };
  return (await check(wiring as Wiring)).filter(({ what }) => what.startsWith('service pay: '));
}

const unit =
  (load: string, active = 'inactive') =>
  async () =>
    statusOf('pay.service', parseShow(`LoadState=${load}\nActiveState=${active}\nSubState=dead\n`));
const PLACE = { ok: true, what: 'service pay: /opt/pay' };

test('a unit that is loaded is well, whether it runs or not', async () => {
  expect(await findings(unit('loaded'))).toEqual([
    PLACE,
    { ok: true, what: 'service pay: unit pay.service: inactive (dead)' },
  ]);
});

test.each([
  ['not-found', 'pay.service does not exist', 'install the unit, then systemctl daemon-reload'],
  ['masked', 'pay.service is masked', 'systemctl unmask pay.service'],
  ['bad-setting', 'pay.service cannot be loaded: bad-setting', expect.stringContaining('systemctl status')],
  ['error', 'pay.service cannot be loaded: error', expect.stringContaining('systemctl status')],
])('a unit that is %s is to be mended, also where it still runs', async (load, problem, hint) => {
  for (const active of ['inactive', 'active']) {
    expect(await findings(unit(load, active))).toEqual([
      PLACE,
      { ok: false, what: `service pay: ${problem}`, hint },
    ]);
  }
});

test('a unit that comes with its package need not be there yet, but must not be masked', async () => {
  const deb = { pkg: '{ type: deb, name: pay }' };
  expect((await findings(unit('not-found'), deb)).at(-1)).toEqual({
    ok: true,
    what: 'service pay: unit pay.service comes with its package',
  });
  expect((await findings(unit('masked'), deb)).at(-1)).toMatchObject({ ok: false });
});

test('a status that cannot be had is a finding of its own, beside what is wrong with the place', async () => {
  const problem = '/opt/pay can be written to by everyone';
  const status = async () => {
    throw new TriggerDeployError('COMMAND_FAILED', 'cannot run /srv/ask: no such file');
  };
  expect(await findings(status, { manager: COMMANDS, problems: [problem] })).toEqual([
    { ok: false, what: `service pay: ${problem}`, hint: 'mend it' },
    {
      ok: false,
      what: 'service pay: cannot run /srv/ask: no such file',
      hint: 'it is asked by `manager:` of the service: correct that in the config',
    },
  ]);
});

test('what is in trouble though it runs is to be mended', async () => {
  const trouble = { problem: '/run/pay.pid names pid 1', hint: 'leave it out' };
  const status = async () => ({ ...(await unit('loaded', 'active')()), summary: 'active', trouble });
  expect((await findings(status, { manager: COMMANDS })).at(-1)).toEqual({
    ok: false,
    what: 'service pay: /run/pay.pid names pid 1',
    hint: 'leave it out',
  });
});
