import { describe, expect, it } from 'vitest';
import { groupFailures } from '../../../../publisher/render/group-failures.ts';
import type { Report } from '../../../../shared/report.ts';
import { reported } from '../../../support/publisher/render-samples.ts';

function failed(instance: string, message: string, change: Partial<Report> = {}): Report {
  const error = { code: 'CHECK_FAILED', message };
  const event = reported(0, instance, { state: 'rolled-back', error, ...change });
  if (event.type !== 'report') throw new Error('not a report');
  return event.report;
}
const instancesOf = (reports: readonly Report[]) =>
  groupFailures(reports).map((group) => group.map(({ instance }) => instance));

describe('two failures are the same', () => {
  it.each([
    ['their instance', 'i-0a1b2c3d has no database', 'i-0e4f5a6b has no database'],
    ['another instance that they name', 'i-1: lost i-0123456789abcdef0', 'i-2: lost i-0fedcba987654321f'],
    ['an IPv4 address', 'no route to 10.0.1.17:5432', 'no route to 10.0.212.4:5433'],
    ['an IPv6 address', 'no route to [2001:db8::1]:80', 'no route to [2001:db8::ffff:2]:80'],
    ['a bare IPv6 address', 'no route to fe80::1ff:fe23:4567:890a now', 'no route to fe80::2 now'],
    ['a host name of EC2', 'ip-10-0-1-2.eu-west-1.compute.internal: down', 'ip-10-0-9-9.ec2.internal: down'],
    ['a memory address', 'at 0x7f0012ab, Main@1b2c3d4e', 'at 0x55aa, Main@9f8e7d6c'],
    ['a pid', 'pid 4711 ended: main[4711]', 'pid 12 ended: main[12]'],
    ['a duration', 'http 503 (0 of 3) after 1 min 2 s', 'http 503 (2 of 3) after 58.4 s'],
    ['a time', 'at 2026-11-21T08:14:02.113Z', 'at 2026-11-21 08:14:05'],
    ['a size', 'needs 24.0 MB, 3.1 MB are free', 'needs 24.0 MB, 900 kB are free'],
    ['an id', 'request 6f1c2d3e-0a1b-4c5d-8e9f-001122334455', 'request 00000000-0a1b-4c5d-8e9f-001122334455'],
  ])('if they differ by %s only', (_what, one, other) => {
    const [i, j] = [one.match(/i-0\w+/)?.[0] ?? 'i-1', other.match(/i-0\w+/)?.[0] ?? 'i-2'];
    const ids = one.startsWith('i-0') ? [i, j] : ['i-1', 'i-2'];
    expect(instancesOf([failed(ids[0] ?? '', one), failed(ids[1] ?? '', other)])).toEqual([ids]);
  });

  it.each([
    ['status', 'GET /health answered 500', 'GET /health answered 503'],
    ['exit code', 'exited with 1', 'exited with 137'],
    ['port', 'port 8080 is closed', 'port 8081 is closed'],
    ['version', '1.4.2 needs java 21', '1.4.2 needs java 17'],
    ['path', 'GET /health: http 500', 'GET /ready: http 500'],
    ['number of checks', 'http 503 (0 of 3)', 'http 503 (0 of 5)'],
  ])('but not if the %s differs', (_what, one, other) => {
    expect(instancesOf([failed('i-1', one), failed('i-2', other)])).toEqual([['i-1'], ['i-2']]);
  });

  it('also where an instance has a name that is part of other words', () => {
    const message = 'a host has no disk';
    expect(instancesOf([failed('a', message), failed('has', message), failed('h', message)])).toEqual([
      ['a'],
      ['h'],
      ['has'],
    ]);
    expect(instancesOf([failed('i', 'no disk'), failed('d', 'no disk')])).toEqual([['d', 'i']]);
  });

  it('but not if the code differs', () => {
    const other = failed('i-2', 'exit 1', { error: { code: 'START_FAILED', message: 'exit 1' } });
    expect(instancesOf([failed('i-1', 'exit 1'), other])).toEqual([['i-1'], ['i-2']]);
  });
});

it('the worst comes first, then the largest group; within a group the worst, then by instance', () => {
  const reports = [
    failed('i-5', 'rare'),
    failed('i-4', 'common'),
    failed('i-3', 'common'),
    failed('i-2', 'mixed'),
    failed('i-1', 'mixed', { state: 'broken' }),
    failed('i-0', 'mixed'),
  ];
  expect(instancesOf(reports)).toEqual([['i-1', 'i-0', 'i-2'], ['i-3', 'i-4'], ['i-5']]);
});

it('a report without an error is in no group', () => {
  const event = reported(0, 'i-1', { state: 'succeeded' });
  expect(groupFailures(event.type === 'report' ? [event.report] : [])).toEqual([]);
});
