import { describe, expect, test } from 'vitest';
import { changed, EXAMPLE, mistakes, parse } from '../../support/agent/config-fixture.ts';

const withLogs = (logs: string) => `${EXAMPLE}    logs: ${logs}\n`;
const logsOf = (text: string) => parse(text).services.payments?.logs;
const COMMAND = '{ type: command, start: [/a], stop: [/a], status: [/a] }';
const SYSTEMD = '{ type: systemd, unit: payments.service, stopTimeout: 30s, startTimeout: 60s }';

describe('`logs:` of a service', () => {
  test('has defaults, and without it nothing is uploaded', () => {
    expect(logsOf(EXAMPLE)).toBeUndefined();
    expect(logsOf(withLogs('{}'))).toEqual({
      ...{ files: [], every: 3_600_000, compress: true, maxPerDay: 2 * 1024 ** 3 },
    });
  });

  test('takes directories and names, a schedule, another bucket and limits', () => {
    const text = withLogs(
      '{ files: [{ dir: /var/log/pay, match: "*.log*" }], every: 10m, bucket: acme-logs, compress: off, maxPerDay: 10MiB, journal: false }',
    );
    expect(logsOf(`logBandwidth: 512KiB\n${text}`)).toEqual({
      files: [{ dir: '/var/log/pay', match: '*.log*' }],
      ...{ every: 600_000, bucket: 'acme-logs', compress: false, maxPerDay: 10 * 1024 ** 2, journal: false },
    });
    expect(parse(`logBandwidth: 512KiB\n${text}`).logBandwidth).toBe(512 * 1024);
  });

  test.each([
    ['a directory that is relative', '{ files: [{ dir: var/log, match: "*" }] }', 'absolute path'],
    ['a pattern with a directory', '{ files: [{ dir: /var/log, match: "*/app.log" }] }', 'only * and ?'],
    ['a pattern with a class', '{ files: [{ dir: /var/log, match: "app[0-9].log" }] }', 'only * and ?'],
    ['a pattern of many stars', '{ files: [{ dir: /var/log, match: "*a*a*a*a*b" }] }', 'four *'],
    ['a size without a unit', '{ maxPerDay: 100 }', 'expected a size'],
    ['a size of nothing', '{ maxPerDay: 0MiB }', 'expected a size'],
    ['a schedule of nothing', '{ every: 0s }', 'more than 0'],
    ['another key', '{ path: /var/log }', 'path'],
    ['no logs', '{ journal: false }', 'no logs'],
  ])('%s is a mistake', (_, logs, why) => {
    expect(mistakes(withLogs(logs)).join()).toContain(why);
  });

  test('a service of manager command has no journal, and needs files', () => {
    const command = (logs: string) => withLogs(logs).replace(SYSTEMD, COMMAND);
    expect(changed(SYSTEMD, COMMAND)).not.toBe(EXAMPLE);
    expect(mistakes(command('{}')).join()).toContain('no logs');
    expect(mistakes(command('{ journal: true }')).join()).toContain('manager systemd');
    expect(logsOf(command('{ files: [{ dir: /var/log, match: "a" }] }'))).toBeDefined();
  });
});
