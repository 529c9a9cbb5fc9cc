import { describe, expect, test } from 'vitest';
import { CHECK_TYPES } from '../../../agent/host/services/check-types.ts';
import { RESERVED_NAMES } from '../../../shared/names.ts';
import { PACKAGE_TYPES } from '../../../shared/package-types.ts';
import { changed, checks, EXAMPLE, manager, mistakes, parse } from '../../support/agent/config-fixture.ts';

describe('names of services', () => {
  test.each(RESERVED_NAMES)('a service named like the verb %s is refused', (verb) => {
    expect(mistakes(changed('  payments:', `  ${verb}:`))).toEqual([
      `agent.yaml:10: services.${verb}: that word is a command of trigger-deploy and cannot name a service`,
    ]);
  });

  test.each(['Payments', '../payments', 'pay.ments', '"pay/ments"', '1st', '"a\\0"'])(
    'a service named %s is refused',
    (name) => {
      expect(mistakes(changed('  payments:', `  ${name}:`)).join()).toMatch(
        /^agent\.yaml:10: services\..*a service name has a-z/,
      );
    },
  );

  test('an agent without services is refused', () => {
    expect(mistakes(EXAMPLE.replace(/services:[\s\S]*/, 'services: {}\n')).join()).toContain('no service');
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
    ['of a template without an instance', '      - systemd: { unit: pay@.service }'],
    ['of a unit without a suffix', '      - systemd: { unit: payments }'],
  ])('one %s is refused', (_, yaml) => {
    expect(mistakes(checks(yaml)).join()).toMatch(/^agent\.yaml:14: services\.payments\.checks\.0\./);
  });

  test.each(['pay.timer', 'pay.path', 'srv-data.mount', 'pay@1.service', 'pay.target'])(
    'a systemd check takes the unit %s',
    (unit) => {
      expect(parse(checks(`      - systemd: { unit: ${unit} }`)).services.payments?.checks).toMatchObject([
        { kind: 'systemd', unit },
      ]);
    },
  );

  test('more than sixteen are refused', () => {
    const many = Array.from({ length: 17 }, (_, i) => `      - tcp: { port: ${i + 1} }`).join('\n');
    expect(mistakes(checks(many)).join()).toContain('services.payments.checks');
  });
});

describe('the rest of a service', () => {
  test.each(['2', '0', '-1', '101', '2.5', '"3"'])('keeping %s releases is refused', (keep) => {
    expect(mistakes(changed('keep: 3', `keep: ${keep}`)).join()).toContain('services.payments.package.keep');
  });

  test('a jar or an archive may name the group of its config files, a deb has none', () => {
    for (const type of ['jar', 'archive']) {
      const text = changed(
        'type: jar, dir: /opt/payments',
        `type: ${type}, dir: /opt/payments, group: payments`,
      );
      expect(parse(text).services.payments?.package).toMatchObject({ type, group: 'payments' });
    }
    const deb = changed('type: jar, dir: /opt/payments', 'type: deb, name: edge, group: payments');
    expect(mistakes(deb).join()).toContain('group');
    for (const group of ['"a b"', '-x', '0', '"../x"']) {
      const text = changed('type: jar', `type: jar, group: ${group}`);
      expect(mistakes(text).join()).toContain('services.payments.package.group');
    }
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

  test.each([
    ['pay.socket', 'pay.socket is a socket: it runs no version; name the service it starts, pay.service'],
    ['pay@1.timer', 'pay@1.timer is a timer: it runs no version; name the service it starts, pay@1.service'],
    ['pay.path', 'pay.path is a path: it runs no version; name the service it starts, pay.service'],
    ['srv.automount', 'srv.automount is an automount: it runs no version; name a .service'],
    ['pay.target', 'pay.target is a target: it runs no version; name a .service'],
    ['pay@.service', 'pay@.service is a template; name an instance, such as pay@1.service'],
    ['pay', 'expected a unit such as payments.service'],
  ])('the manager refuses the unit %s by name: only a service runs a version', (unit, why) => {
    expect(
      mistakes(manager(`{ type: systemd, unit: ${unit} }`)).map((one) => one.split('unit: ')[1]),
    ).toEqual([why]);
  });

  test('the manager takes an instance of a template', () => {
    const { services } = parse(manager('{ type: systemd, unit: pay@1.service }'));
    expect(services.payments?.manager).toMatchObject({ unit: 'pay@1.service' });
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

describe('a deb package', () => {
  const deb = (more = '', name = 'edge-proxy') => `${EXAMPLE}  edge-proxy:
    package: { type: deb, name: ${name}${more} }
    manager: { type: systemd, unit: edge-proxy.service }
`;

  test('by default is stored below the state directory, fetches no dependencies and must be undoable', () => {
    expect(parse(deb()).services['edge-proxy']?.package).toEqual({
      ...{
        type: 'deb',
        name: 'edge-proxy',
        companions: [],
        dir: '/var/lib/trigger-deploy/debs/edge-proxy',
        keep: 3,
      },
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
