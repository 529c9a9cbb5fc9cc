import { describe, expect, test } from 'vitest';
import {
  changed,
  checks,
  EXAMPLE,
  hook,
  manager,
  mistakes,
  parse,
  second,
} from '../../support/agent/config-fixture.ts';

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
