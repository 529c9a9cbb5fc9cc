import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadAgentConfig, parseAgentConfig } from '../../../agent/config.ts';
import { CHECK_TYPES } from '../../../agent/host/services/check-types.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { RESERVED_NAMES } from '../../../shared/names.ts';
import { PACKAGE_TYPES } from '../../../shared/package-types.ts';

/** A config with every setting of a jar service; a service of type deb is below. */
const EXAMPLE = `env: dev
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
trust:
  keys: [/etc/trigger-deploy/keys/ci.pub.json]     # JWK; several during a rotation
# instance: i-0abc…                                # from IMDSv2 when left out
# state: /var/lib/trigger-deploy
services:
  payments:
    package: { type: jar, dir: /opt/payments, keep: 3 }
    manager: { type: systemd, unit: payments.service, stopTimeout: 30s, startTimeout: 60s }
    checks:
      - http: { url: http://127.0.0.1:8080/health, status: 200, body: '"version":"{version}"', successes: 3, deadline: 60s }
    watch: 10s
    hooks:
      beforeStop: [{ run: [/usr/local/bin/drain, payments], timeout: 30s }]
`;

const parse = (text: string) => parseAgentConfig(text, 'agent.yaml');

/** The example with one part replaced; a part that the example does not have is a mistake of the test. */
function changed(place: string, into: string): string {
  expect(EXAMPLE).toContain(place);
  return EXAMPLE.replace(place, () => into);
}

/** The mistakes found in `text`, one per element. */
function mistakes(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof TriggerDeployError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    return error.detail?.split('\n') ?? [];
  }
  throw new Error('it was accepted');
}

const CHECK_LINE = EXAMPLE.split('\n').find((line) => line.includes('- http')) ?? '';
const checks = (yaml: string) => changed(CHECK_LINE, yaml);
const manager = (yaml: string) => EXAMPLE.replace(/manager: .*/, () => `manager: ${yaml}`);
const hook = (yaml: string) => EXAMPLE.replace(/beforeStop: .*/, () => `beforeStop: [${yaml}]`);
const second = (name: string, dir: string) => `${EXAMPLE}  ${name}:
    package: { type: archive, dir: ${dir} }
    manager: { type: systemd, unit: ${name}.service }
`;

describe('agent.yaml', () => {
  test('is read: durations in ms, defaults filled in', () => {
    expect(parse(EXAMPLE)).toEqual({
      env: 'dev',
      region: 'eu-west-1',
      topic: 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev',
      bucket: 'acme-deploys-dev',
      pathStyle: false,
      trust: { keys: ['/etc/trigger-deploy/keys/ci.pub.json'] },
      state: '/var/lib/trigger-deploy',
      tags: {},
      logLevel: 'info',
      logFormat: 'auto',
      services: {
        payments: {
          package: { type: 'jar', dir: '/opt/payments', keep: 3 },
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
          hooks: { beforeStop: [], afterStart: [] },
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
      'agent.yaml:1: env: an environment is 1 to 16 of a-z and 0-9',
      'agent.yaml:4: bucket: expected the name of an S3 bucket',
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

describe('paths', () => {
  test.each([
    'opt/payments',
    './payments',
    '../opt',
    '/opt/../etc',
    '/opt/payments/..',
    '/..',
    '~/payments',
    '""',
    '"/opt/\\0x"',
  ])('the directory %s is refused', (dir) => {
    expect(mistakes(changed('/opt/payments', dir))).toEqual([
      'agent.yaml:11: services.payments.package.dir: expected an absolute path without ".."',
    ]);
  });

  test.each(['/opt/payments/', '/opt//payments', '/opt/./payments', '//opt/payments/.'])(
    'the directory %s is /opt/payments',
    (dir) => {
      expect(parse(changed('/opt/payments', dir)).services.payments?.package.dir).toBe('/opt/payments');
    },
  );

  test('a directory may have dots in its name', () => {
    expect(parse(changed('/opt/payments', '/opt/payments..v2')).services.payments?.package.dir).toBe(
      '/opt/payments..v2',
    );
  });

  test.each(['/opt/payments', '/opt/payments/', '/opt/./payments'])(
    'two services with the same directory are refused, also when the second is spelled %s',
    (dir) => {
      expect(mistakes(second('edge', dir))).toEqual([
        'agent.yaml:19: services.edge.package.dir: /opt/payments is already used by service payments',
      ]);
    },
  );

  test('two services with different directories are accepted', () => {
    expect(Object.keys(parse(second('edge', '/opt/payments-edge')).services)).toEqual(['payments', 'edge']);
  });

  test('a relative state directory is refused', () => {
    expect(mistakes(`state: var/lib\n${EXAMPLE}`).join()).toContain(
      'agent.yaml:1: state: expected an absolute path',
    );
  });

  test('adopt needs an absolute path and a version', () => {
    const adopt = (yaml: string) => changed('keep: 3', `adopt: ${yaml}`);
    expect(parse(adopt('{ path: /opt/old.jar, version: legacy }')).services.payments?.package).toMatchObject({
      adopt: { path: '/opt/old.jar', version: 'legacy' },
    });
    expect(mistakes(adopt('{ path: old.jar, version: latest }'))).toHaveLength(2);
  });
});

describe('programs', () => {
  const ARGV = /expected an argv array whose first word is an absolute path/;

  test.each([
    '[drain, payments]',
    '[./drain]',
    '[../drain]',
    '["", payments]',
    '["~/drain"]',
    '["$HOME/drain"]',
  ])('a hook that runs %s is refused: no PATH is searched', (run) => {
    expect(mistakes(hook(`{ run: ${run} }`)).join()).toMatch(ARGV);
  });

  test.each(['/usr/local/bin/drain payments', '[]', '[/bin/a, 5]', '[/bin/a, null]', '["/bin/a", "\\0"]'])(
    'a hook that runs %s is refused: a command is an array of words',
    (run) => {
      expect(mistakes(hook(`{ run: ${run} }`)).join()).toContain('services.payments.hooks.beforeStop.0.run');
    },
  );

  test('a check with a relative program path is refused', () => {
    expect(mistakes(checks('      - command: { run: [edge-check] }')).join()).toMatch(ARGV);
  });

  test('each program of a command manager needs its full path', () => {
    const text = manager('{ type: command, start: [a], stop: [b], status: [c], restart: [d] }');
    expect(
      mistakes(text)
        .map((mistake) => /manager\.(\w+)/.exec(mistake)?.[1])
        .sort(),
    ).toEqual(['restart', 'start', 'status', 'stop']);
  });

  test('words are passed unchanged: none is split, globbed or expanded', () => {
    const text = hook("{ run: [/bin/a, 'b c', '*', '$HOME', '; rm -rf /'] }");
    expect(parse(text).services.payments?.hooks.beforeStop[0]?.run).toEqual([
      '/bin/a',
      'b c',
      '*',
      '$HOME',
      '; rm -rf /',
    ]);
  });

  test.each(['root;', 'Root', '-x', '0', '""', '"a b"'])('the user %s is refused', (user) => {
    expect(mistakes(hook(`{ run: [/bin/a], user: ${user} }`))).not.toEqual([]);
  });

  test.each(['"A-B"', '"1A"', '"A=B"', '""'])('an environment variable named %s is refused', (name) => {
    expect(mistakes(hook(`{ run: [/bin/a], environment: { ${name}: x } }`))).not.toEqual([]);
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

describe('names of services', () => {
  test.each(RESERVED_NAMES)('a service named like the verb %s is refused', (verb) => {
    expect(mistakes(changed('  payments:', `  ${verb}:`))).toEqual([
      `agent.yaml:10: services.${verb}: that word is a command of trigger-deploy and cannot name a service`,
    ]);
  });

  test.each(['Payments', '../payments', 'pay_ments', '"pay/ments"', '1st', '"a\\0"'])(
    'a service named %s is refused',
    (name) => {
      expect(mistakes(changed('  payments:', `  ${name}:`)).join()).toMatch(
        /^agent\.yaml:10: services\..*a service is a-z/,
      );
    },
  );

  test('an agent without services is refused', () => {
    expect(mistakes(EXAMPLE.replace(/services:[\s\S]*/, 'services: {}\n')).join()).toContain('no service');
  });
});

describe('AWS settings', () => {
  test('a topic in another region is refused', () => {
    expect(mistakes(changed('region: eu-west-1', 'region: us-east-1'))).toEqual([
      'agent.yaml:3: topic: the topic is in eu-west-1, but region is us-east-1',
    ]);
  });

  test.each([
    'trigger-deploy-dev',
    'arn:aws:sqs:eu-west-1:123456789012:trigger-deploy-dev',
    'arn:aws:sns:eu-west-1:12345:trigger-deploy-dev',
    'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev.fifo',
    'arn:aws:sns:eu-west-1:123456789012:a:b',
    'arn:aws:sns:eu-west-1:123456789012:',
    '*',
  ])('the topic "%s" is refused', (topic) => {
    const [place = ''] = /arn:\S+/.exec(EXAMPLE) ?? [];
    expect(mistakes(changed(place, `"${topic}"`)).join('\n')).toContain(
      'agent.yaml:3: topic: expected the ARN of an SNS topic',
    );
  });

  test.each(['eu-west-1', 'us-gov-east-1', 'cn-north-1', 'ap-southeast-5', 'eusc-de-east-1'])(
    'the region %s is accepted',
    (region) => {
      expect(parse(EXAMPLE.replaceAll('eu-west-1', region)).region).toBe(region);
    },
  );

  test.each(['eu-west', 'EU-WEST-1', 'eu-west-1a', 'https://sqs.eu-west-1.amazonaws.com', ''])(
    'the region "%s" is refused',
    (region) => {
      expect(mistakes(changed('region: eu-west-1', `region: "${region}"`)).join('\n')).toContain(
        'agent.yaml:2: region: expected a region such as eu-west-1',
      );
    },
  );

  test.each(['s3://acme', 'acme/deploys', 'Acme', 'ab', '-acme', 'a'.repeat(64)])(
    'the bucket "%s" is refused',
    (bucket) => {
      expect(mistakes(changed('bucket: acme-deploys-dev', `bucket: "${bucket}"`)).join()).toContain(
        'bucket: expected the name',
      );
    },
  );

  test('an instance id that cannot be part of a queue name is refused', () => {
    expect(mistakes(`instance: i.1\n${EXAMPLE}`).join()).toContain('agent.yaml:1: instance: ');
    expect(mistakes(`instance: ${'i'.repeat(49)}\n${EXAMPLE}`).join()).toContain('agent.yaml:1: instance: ');
  });
});

describe('checks', () => {
  test('each type is read with its timing', () => {
    const text = checks(`      - tcp: { port: 443 }
      - command: { run: [/usr/bin/edge-check], user: edge, successes: 2 }
      - systemd: { unit: payments.socket, timeout: 1s }`);
    const timing = { successes: 1, deadline: 60_000, timeout: 2000 };
    expect(parse(text).services.payments?.checks).toEqual([
      { kind: 'tcp', host: '127.0.0.1', port: 443, ...timing },
      { kind: 'command', run: ['/usr/bin/edge-check'], user: 'edge', ...timing, successes: 2 },
      { kind: 'systemd', unit: 'payments.socket', ...timing, timeout: 1000 },
    ]);
  });

  test.each<[string, string]>([
    ['of no kind', '      - {}'],
    ['of two kinds', '      - { tcp: { port: 1 }, systemd: { unit: a.service } }'],
  ])('one %s is refused', (_, yaml) => {
    expect(mistakes(checks(yaml))).toEqual([
      `agent.yaml:14: services.payments.checks.0: expected exactly one of ${Object.keys(CHECK_TYPES).join(', ')}`,
    ]);
  });

  test.each<[string, string]>([
    ['of a file URL', '      - http: { url: "file:///etc/passwd" }'],
    ['of no URL', '      - http: { url: /health }'],
    ['that expects status 99', '      - http: { url: "http://127.0.0.1/", status: 99 }'],
    ['that expects status 600', '      - http: { url: "http://127.0.0.1/", status: 600 }'],
    ['that expects an empty body', '      - http: { url: "http://127.0.0.1/", body: "" }'],
    ['that need no success', '      - tcp: { port: 1, successes: 0 }'],
    ['of port 0', '      - tcp: { port: 0 }'],
    ['of port 65536', '      - tcp: { port: 65536 }'],
    ['of a unit given as a path', '      - systemd: { unit: /etc/a.service }'],
    ['of a unit that looks like an option', '      - systemd: { unit: --all.service }'],
    ['of a unit without a suffix', '      - systemd: { unit: payments }'],
  ])('one %s is refused', (_, yaml) => {
    expect(mistakes(checks(yaml)).join()).toMatch(/^agent\.yaml:14: services\.payments\.checks\.0\./);
  });

  test('more than sixteen are refused', () => {
    const many = Array.from({ length: 17 }, (_, i) => `      - tcp: { port: ${i + 1} }`).join('\n');
    expect(mistakes(checks(many)).join()).toContain('services.payments.checks');
  });
});

describe('the rest of a service', () => {
  test.each(['2', '0', '-1', '101', '2.5', '"3"'])('keeping %s releases is refused', (keep) => {
    expect(mistakes(changed('keep: 3', `keep: ${keep}`)).join()).toContain('services.payments.package.keep');
  });

  test('a package of an unknown type is refused with a list of the types, the same as in push --help', () => {
    const known = Object.keys(PACKAGE_TYPES).map((type) => `'${type}'`);
    const [mistake] = mistakes(changed('type: jar', 'type: snap'));
    expect(mistake).toMatch(/payments\.package\.type: /);
    expect(mistake?.match(/'[a-z]+'/g)?.toSorted()).toEqual(known.toSorted());
  });

  test('a manager of an unknown type is refused', () => {
    expect(mistakes(manager('{ type: docker }')).join()).toMatch(/manager\.type: .*'systemd' \| 'command'/);
  });

  test.each<[string, boolean]>([
    ['on', true],
    ['true', true],
    ['off', false],
    ['false', false],
  ])('reportLog: %s is %s', (value, expected) => {
    expect(parse(`${EXAMPLE}    reportLog: ${value}\n`).services.payments?.reportLog).toBe(expected);
  });

  test('reportLog: maybe is refused, so that a typing mistake sends no secrets', () => {
    expect(mistakes(`${EXAMPLE}    reportLog: offf\n`)).toEqual([
      'agent.yaml:18: services.payments.reportLog: expected on or off',
    ]);
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

describe('traffic', () => {
  const GROUP = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067';
  const balanced = (yaml: string) => `${EXAMPLE}    traffic: ${yaml}\n`;

  test('has target groups and default timeouts longer than the default deregistration delay', () => {
    const { traffic } = parse(balanced(`{ targetGroups: [{ arn: "${GROUP}", port: 8080 }] }`)).services
      .payments as { traffic: unknown };
    expect(traffic).toEqual({
      targetGroups: [{ arn: GROUP, port: 8080 }],
      drainTimeout: 360_000,
      healthyTimeout: 300_000,
    });
  });

  test.each([
    ['no group', '{ targetGroups: [] }', /traffic\.targetGroups: /],
    [
      'a load balancer',
      '{ targetGroups: [{ arn: "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1" }] }',
      /expected the ARN of a target group/,
    ],
    [
      'a group in another region',
      `{ targetGroups: [{ arn: "${GROUP.replace('eu-west-1', 'eu-west-2')}" }] }`,
      /the target group is in eu-west-2, but region is eu-west-1/,
    ],
  ])('is refused with %s', (_what, yaml, mistake) => {
    expect(mistakes(balanced(yaml))).toEqual([expect.stringMatching(mistake)]);
  });
});

describe('tags', () => {
  const tagged = (yaml: string) => parse(`${EXAMPLE}tags: ${yaml}\n`).tags;

  test('are read', () => {
    expect(tagged('{ stack: pr-1234, "team:cost": "" }')).toEqual({ stack: 'pr-1234', 'team:cost': '' });
  });

  test.each([
    ['a number', '{ stack: 1234 }', /tags\.stack: expected text: put it in quotes/],
    ['a long value', `{ stack: ${'v'.repeat(257)} }`, /tags\.stack: expected 256 characters at most/],
    ['a long key', `{ ${'k'.repeat(129)}: v }`, /expected 128 characters at most/],
    ['a control character', '{ stack: "a\\e[31m" }', /tags\.stack: expected no control characters/],
    [
      'too many',
      `{ ${Array.from({ length: 51 }, (_, i) => `k${i}: v`).join(', ')} }`,
      /tags: expected 50 tags at most/,
    ],
  ])('are refused with %s', (_what, yaml, mistake) => {
    expect(mistakes(`${EXAMPLE}tags: ${yaml}\n`)).toEqual([expect.stringMatching(mistake)]);
  });
});

describe('a deb package', () => {
  const deb = (more = '', name = 'edge-proxy') => `${EXAMPLE}  edge-proxy:
    package: { type: deb, name: ${name}${more} }
    manager: { type: systemd, unit: edge-proxy.service }
`;

  test('by default is stored below the state directory, fetches no dependencies and must be undoable', () => {
    expect(parse(deb()).services['edge-proxy']?.package).toEqual({
      ...{ type: 'deb', name: 'edge-proxy', dir: '/var/lib/trigger-deploy/debs/edge-proxy', keep: 3 },
      ...{ fetchDependencies: false, acceptNoUndo: false, installTimeout: 600_000, lockTimeout: 300_000 },
    });
    expect(parse(`state: /srv/td\n${deb()}`).services['edge-proxy']?.package.dir).toBe(
      '/srv/td/debs/edge-proxy',
    );
    expect(parse(deb(', dir: /srv/debs')).services['edge-proxy']?.package.dir).toBe('/srv/debs');
  });

  test.each(['E', 'Edge', '-edge', 'edge_proxy', 'e', '"edge proxy"', '--root=x'])(
    'cannot have the name %s',
    (name) => {
      expect(mistakes(deb('', name)).join()).toContain('expected the name of a Debian package');
    },
  );

  test('can belong to one service only', () => {
    const twice = `${deb()}  second:
    package: { type: deb, name: edge-proxy }
    manager: { type: systemd, unit: second.service }
`;
    expect(mistakes(twice).join()).toContain('package edge-proxy is already used by service edge-proxy');
  });

  test('has no adopt: dpkg knows what is installed', () => {
    expect(mistakes(deb(', adopt: { path: /opt/x, version: 1 }'))).not.toEqual([]);
  });
});
