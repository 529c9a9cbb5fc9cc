import { expect, test } from 'vitest';
import { examineAgents, examineAnswers, examineDrift } from '../../../../publisher/doctor/fleet.ts';
import type { Desired } from '../../../../shared/desired.ts';
import type { InstanceRecord } from '../../../../shared/report.ts';

/** A fleet of 5,000 instances in which everything is wrong: an answer that a person can read. */

const all = Array.from(
  { length: 5000 },
  (_, i) =>
    ({
      ...{ instance: `i-${i}`, service: 'payments', version: '1.0.0', at: '2026-01-01T00:00:00Z' },
      agentVersion: i === 0 ? '0.10.0' : '0.9.1',
    }) as InstanceRecord,
);
const desired = { service: 'payments', version: '2.0.0' } as Desired;

test.each([
  ['silent', () => examineAnswers(all, []), '4980 more instances do not answer'],
  ['drifting', () => examineDrift('dev', desired, all), '4980 more instances do not run 2.0.0'],
  ['with an old agent', () => examineAgents(all), '4979 more agents are older than 0.10.0'],
])('of those that are %s 20 are named and the others counted', (_, examine, last) => {
  const found = examine();
  expect(found).toHaveLength(21);
  expect(found.at(-1)?.what).toBe(last);
});
