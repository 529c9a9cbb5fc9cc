import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadAgentConfig } from '../../../agent/config.ts';
import { changed, checks, EXAMPLE, mistakes, parse } from '../../support/agent/config-fixture.ts';

describe('agent.yaml', () => {
  test('is read: durations in ms, defaults filled in', () => {
    expect(parse(EXAMPLE)).toEqual({
      env: 'dev',
      region: 'eu-west-1',
      topic: 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev',
      bucket: 'acme-deploys-dev',
      pathStyle: false,
      queueTags: {},
      trust: { keys: ['/etc/trigger-deploy/keys/ci.pub.json'] },
      state: '/var/lib/trigger-deploy',
      tags: {},
      logLevel: 'info',
      logFormat: 'auto',
      logBandwidth: 1024 ** 2,
      services: {
        payments: {
          package: { type: 'jar', dir: '/opt/payments', acceptNoUndo: false, keep: 3 },
          manager: { type: 'systemd', unit: 'payments.service', stopTimeout: 30_000, startTimeout: 60_000 },
          checks: [
            {
              kind: 'http',
              url: 'http://127.0.0.1:8080/health',
              status: 200,
              body: '"version":"{version}"',
              successes: 3,
              deadline: 60_000,
              timeout: 2000,
            },
          ],
          watch: 10_000,
          hooks: {
            beforeStop: [{ run: ['/usr/local/bin/drain', 'payments'], timeout: 30_000, environment: {} }],
            afterStart: [],
            onTerminate: [],
          },
          reportLog: true,
        },
      },
    });
  });

  test('may omit every setting that has a default', () => {
    const text = `env: dev
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
trust: none
services:
  payments:
    package: { type: jar, dir: /opt/payments }
    manager: { type: systemd, unit: payments.service }
`;
    expect(parse(text)).toMatchObject({
      trust: 'none',
      services: {
        payments: {
          package: { keep: 3 },
          manager: { stopTimeout: 30_000, startTimeout: 60_000 },
          checks: [],
          watch: 10_000,
          hooks: { beforeStop: [], afterStart: [], onTerminate: [] },
          reportLog: true,
        },
      },
    });
    expect(parse(text).instance).toBeUndefined();
  });

  test('with five mistakes is refused with all five, each with its line and path', () => {
    const text = EXAMPLE.replace('env: dev', 'env: Dev_1')
      .replace('bucket: acme-deploys-dev', 'bucket: ACME')
      .replace('dir: /opt/payments', 'dir: opt/payments')
      .replace('watch: 10s', 'wacth: 10s')
      .replace('[/usr/local/bin/drain, payments]', '[drain, payments]');
    expect(mistakes(text).sort()).toEqual([
      'agent.yaml:11: services.payments.package.dir: expected an absolute path without ".."',
      'agent.yaml:15: services.payments.wacth: unknown key',
      expect.stringMatching(
        /^agent\.yaml:17: services\.payments\.hooks\.beforeStop\.0\.run: .*absolute path/,
      ),
      'agent.yaml:1: env: an environment name has 1 to 16 characters of a-z and 0-9',
      'agent.yaml:4: bucket: expected the name of an S3 bucket, found "ACME"',
    ]);
  });

  test('with settings that contradict each other is refused for that and for its other mistakes', () => {
    const text = changed('region: eu-west-1\n', 'region: eu-west-2\ncolour: blue\n');
    expect(mistakes(text)).toEqual([
      'agent.yaml:3: colour: unknown key',
      'agent.yaml:4: topic: the topic is in eu-west-1, but region is eu-west-2',
    ]);
  });
});

describe('trust', () => {
  const TRUST = /trust:\n.*\n/;

  test('is required', () => {
    expect(mistakes(EXAMPLE.replace(TRUST, ''))).toEqual([
      'agent.yaml:1: trust: missing: expected `keys: [/path/of/a/public/key]`, or `none`',
    ]);
  });

  test('none is accepted', () => {
    expect(parse(EXAMPLE.replace(TRUST, 'trust: none\n')).trust).toBe('none');
  });

  test('in two keys is accepted, for a rotation', () => {
    const keys = ['/etc/a.pub.json', '/etc/b.pub.json'];
    expect(parse(EXAMPLE.replace(TRUST, `trust: { keys: [${keys.join(', ')}] }\n`)).trust).toEqual({ keys });
  });

  test.each([
    'trust:',
    'trust: false',
    'trust: all',
    'trust: None',
    'trust: []',
    'trust: {}',
    'trust: { keys: none }',
  ])('"%s" is refused', (line) => {
    expect(mistakes(EXAMPLE.replace(TRUST, `${line}\n`)).join()).toMatch(/^agent\.yaml:5: trust/);
  });

  test('in an empty list of keys is refused; the error names `trust: none`', () => {
    expect(mistakes(EXAMPLE.replace(TRUST, 'trust: { keys: [] }\n')).join()).toContain(
      'no key: add the public key',
    );
  });

  test('in a key by a relative path is refused', () => {
    expect(mistakes(EXAMPLE.replace(TRUST, 'trust: { keys: [ci.pub.json] }\n'))).toEqual([
      'agent.yaml:5: trust.keys.0: expected an absolute path without ".."',
    ]);
  });
});

describe('unknown keys are refused', () => {
  test.each<[string, string, string]>([
    ['at the top', changed('env: dev', 'enviroment: dev\nenv: dev'), 'enviroment'],
    ['in trust', changed('keys: [', 'key: x\n  keys: ['), 'trust.key'],
    ['in a service', changed('watch: 10s', 'watch: 10s\n    wait: 1s'), 'services.payments.wait'],
    ['in a package', changed('keep: 3', 'kept: 3'), 'services.payments.package.kept'],
    ['in a manager', changed('stopTimeout:', 'stoptimeout:'), 'services.payments.manager.stoptimeout'],
    ['in a check', changed('successes: 3', 'success: 3'), 'services.payments.checks.0.http.success'],
    ['as a type of check', checks('      - icmp: { host: a }'), 'services.payments.checks.0.icmp'],
    ['in hooks', changed('beforeStop', 'beforeStart'), 'services.payments.hooks.beforeStart'],
    ['in a hook', changed('timeout: 30s', 'shell: true'), 'services.payments.hooks.beforeStop.0.shell'],
  ])('%s', (_, text, path) => {
    expect(mistakes(text).join('\n')).toContain(`${path}: unknown key`);
  });
});

describe('durations', () => {
  test.each<[string, string, string]>([
    ['watch', changed('watch: 10s', 'watch: 10'), 'services.payments.watch'],
    [
      'a stop timeout',
      changed('stopTimeout: 30s', 'stopTimeout: 30'),
      'services.payments.manager.stopTimeout',
    ],
    ['a deadline', changed('deadline: 60s', 'deadline: "60"'), 'services.payments.checks.0.http.deadline'],
    [
      'the timeout of a hook',
      changed('timeout: 30s', 'timeout: 30000'),
      'services.payments.hooks.beforeStop.0.timeout',
    ],
  ])('%s without a unit is refused', (_, text, path) => {
    expect(mistakes(text).join()).toContain(`${path}: expected a duration such as 500ms, 30s, 10m or 1h`);
  });

  test('0 and 0s turn the watch off', () => {
    expect(parse(changed('watch: 10s', 'watch: 0')).services.payments?.watch).toBe(0);
    expect(parse(changed('watch: 10s', 'watch: 0s')).services.payments?.watch).toBe(0);
  });
});

describe('the file', () => {
  test('that does not exist is named in the error, with a hint', async () => {
    await expect(loadAgentConfig('/nonexistent/agent.yaml')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('cannot read /nonexistent/agent.yaml'),
      hint: expect.stringContaining('--config'),
    });
  });

  test('is read, and each mistake begins with its path', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'trigger-deploy-config-'));
    try {
      const path = join(directory, 'agent.yaml');
      await writeFile(path, EXAMPLE);
      expect(await loadAgentConfig(path)).toEqual(parse(EXAMPLE));
      await writeFile(path, 'env: [');
      await expect(loadAgentConfig(path)).rejects.toMatchObject({
        detail: expect.stringMatching(`^${path}:1: `),
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
