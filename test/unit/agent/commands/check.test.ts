import { expect, test } from 'vitest';
import { check, formatFindings } from '../../../../agent/commands/check.ts';
import type { Finding } from '../../../../agent/deploy/ports.ts';
import type { ServiceStatus } from '../../../../agent/deploy/service-port.ts';
import { parseShow, statusOf } from '../../../../agent/host/services/unit-state.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';

/** The findings of `check` for one service of an instance without other problems. */

const UNIT = 'unit pay.service';
const COMMAND = 'status command';

async function findings(
  status: () => Promise<ServiceStatus>,
  {
    statusSource = UNIT,
    installsUnit = false,
    problems = [] as string[],
    pkgProblems = [] as Finding[],
    namesVersion = true,
    needs = [] as Finding[],
  } = {},
): Promise<Finding[]> {
  const found = await check({
    trustedKeys: async () => [],
    identify: async () => ({ env: 'dev', instance: 'i-1', zone: undefined, agentVersion: '0' }),
    probeQueue: async () => [],
    probeUserId: async () => ({ ok: true, what: 'known' }),
    probeBucket: async () => [],
    environment: [],
    services: [
      {
        name: 'pay',
        dir: '/opt/pay',
        namesVersion,
        package: { installsUnit, inspect: async () => pkgProblems },
        manager: { status },
        readiness: { inspect: async () => needs },
        statusSource,
        inspectDirectory: async () => problems.map((what) => ({ ok: false, what, hint: 'fix it' })),
        probeTraffic: undefined,
        probes: [],
      },
    ],
  });
  return found.filter(({ what }) => what.startsWith('service pay: ')).map(({ id, service, ...said }) => said);
}

const unit =
  (load: string, active = 'inactive') =>
  async () =>
    statusOf('pay.service', parseShow(`LoadState=${load}\nActiveState=${active}\nSubState=dead\n`));
const PLACE = { ok: true, what: 'service pay: /opt/pay' };

test('a unit that is loaded is ok, whether it is active or not', async () => {
  expect(await findings(unit('loaded'))).toEqual([
    PLACE,
    { ok: true, what: 'service pay: unit pay.service: inactive (dead)' },
  ]);
});

test.each([
  ['not-found', 'pay.service does not exist', 'install the unit, then run systemctl daemon-reload'],
  ['masked', 'pay.service is masked', 'systemctl unmask pay.service'],
  ['bad-setting', 'pay.service cannot be loaded: bad-setting', expect.stringContaining('systemctl status')],
  ['error', 'pay.service cannot be loaded: error', expect.stringContaining('systemctl status')],
])('a unit that is %s is a problem, also where it is still active', async (load, problem, hint) => {
  for (const active of ['inactive', 'active']) {
    expect(await findings(unit(load, active))).toEqual([
      PLACE,
      { ok: false, what: `service pay: ${problem}`, hint },
    ]);
  }
});

test('a unit that the package installs may be missing, but not masked', async () => {
  const deb = { installsUnit: true };
  expect((await findings(unit('not-found'), deb)).at(-1)).toEqual({
    ok: true,
    what: 'service pay: unit pay.service is missing; the package of the service installs it',
  });
  expect((await findings(unit('masked'), deb)).at(-1)).toMatchObject({ ok: false });
});

test('a status that cannot be read is a finding of its own, besides those of the directory', async () => {
  const problem = '/opt/pay can be written by everyone';
  const status = async () => {
    throw new TriggerDeployError('COMMAND_FAILED', 'cannot run /srv/ask: no such file');
  };
  expect(await findings(status, { statusSource: COMMAND, problems: [problem] })).toEqual([
    { ok: false, what: `service pay: ${problem}`, hint: 'fix it' },
    {
      ok: false,
      what: 'service pay: cannot run /srv/ask: no such file',
      hint: 'correct `manager:` of this service in the config',
    },
  ]);
});

test('trouble of an active service is a problem', async () => {
  const trouble = { problem: '/run/pay.pid names pid 1', hint: 'leave it out' };
  const status = async () => ({ ...(await unit('loaded', 'active')()), summary: 'active', trouble });
  expect((await findings(status, { statusSource: COMMAND })).at(-1)).toEqual({
    ok: false,
    what: 'service pay: /run/pay.pid names pid 1',
    hint: 'leave it out',
  });
});

test('what is wrong with the package is a finding of its service', async () => {
  const problem = { ok: false, what: 'package pay 1.0 is half-installed', hint: 'dpkg --configure -a' };
  expect((await findings(unit('loaded'), { pkgProblems: [problem] }))[0]).toEqual({
    ...problem,
    what: 'service pay: package pay 1.0 is half-installed',
  });
});

test('checks that do not name the version are a warning, and the agent is ready all the same', async () => {
  const found = await findings(unit('loaded', 'active'), { namesVersion: false });
  expect(found.every(({ ok }) => ok)).toBe(true);
  const text = formatFindings(found, 'agent.yaml');
  expect(text).toMatch(/^! service pay: no health check has \{version\}.*\n {2}→ /m);
  expect(text).toMatch(/ready to run$/);
});

test('each probe has a deadline of its own: one that expires does not fail the next', async () => {
  const signals: AbortSignal[] = [];
  const seen = (signal: AbortSignal) => void signals.push(signal);
  await check({
    trustedKeys: async () => [],
    async identify(signal) {
      seen(signal);
      return { env: 'dev', instance: 'i-1', zone: undefined, agentVersion: '0' };
    },
    async probeQueue(_instance, signal) {
      seen(signal);
      return [];
    },
    async probeUserId(_instance, signal) {
      seen(signal);
      return { ok: true, what: 'known' };
    },
    async probeBucket(signal) {
      seen(signal);
      return [];
    },
    environment: [],
    services: [
      {
        ...{ name: 'pay', dir: '/opt/pay', namesVersion: true, statusSource: UNIT },
        package: { installsUnit: false, inspect: async () => [] },
        manager: {
          async status(signal) {
            seen(signal);
            return await unit('loaded')();
          },
        },
        readiness: {
          async inspect(_release, signal) {
            seen(signal);
            return [];
          },
        },
        inspectDirectory: async () => [],
        probes: [
          {
            id: 'drift',
            async run(signal) {
              seen(signal);
              return [];
            },
          },
        ],
        async probeTraffic(_instance, signal) {
          seen(signal);
          return [];
        },
      },
    ],
  });
  expect(signals).toHaveLength(9);
  expect(new Set(signals).size).toBe(9);
});

test('what the readiness of a service lacks is a finding of it, the same as a deployment is refused for', async () => {
  const missing = {
    ok: false,
    what: 'afterStart hook: /usr/local/bin/undrain does not exist',
    hint: 'install it',
  };
  expect((await findings(unit('loaded'), { needs: [missing] })).at(-1)).toEqual({
    ...missing,
    what: `service pay: ${missing.what}`,
  });
});
