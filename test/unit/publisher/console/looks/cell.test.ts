import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Around, cellOf, instancesOf } from '../../../../../publisher/console/looks/cell.ts';
import type { Facts } from '../../../../../publisher/console/looks/facts.ts';
import { statusAllLines } from '../../../../../publisher/render/status-all.ts';
import type { InstanceStatus } from '../../../../../publisher/rollout/fleet-status.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const ASKED = NOW - 1000;

const instances = fc.array(
  fc.record({
    version: fc.constantFrom('1.0.0', '1.1.0'),
    state: fc.constantFrom(undefined, 'broken', 'succeeded'),
    active: fc.constantFrom(undefined, true, false),
    answered: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

/** An overview's cell in the words of `status --all`. */
function wordsOf(all: readonly InstanceStatus[], version: string): string {
  const records = all.map(({ answered: _, drift: __, ...record }) => record);
  const said = new Set(all.filter(({ answered }) => answered).map(({ instance }) => instance));
  const rollCall: Around['rollCall'] = {
    ...{ at: ASKED, asked: new Set(all.map(({ instance }) => instance)), answered: said },
    answers: new Map([['payments', records.filter(({ instance }) => said.has(instance))]]),
  };
  const writes = new Map(all.map(({ instance }) => [instance, ASKED - 60_000]));
  const facts = {
    ...{ service: 'payments', desired: { version, changedAt: new Date(NOW).toISOString() } },
    ...{ instances: records, recordsAt: writes, queue: [], readAt: NOW },
    lock: { state: 'free', sequence: 1, owner: null, dead: false },
  } as unknown as Facts;
  const around: Around = {
    ...{ env: 'dev', heartbeats: writes, rollCall, now: NOW, pause: undefined },
    ...{ silentAfterMs: 600_000, here: { host: 'h', pid: 1 } as Around['here'] },
  };
  const cell = cellOf(facts, instancesOf(facts, around), around);
  const marks = [
    ['DRIFT', cell.drift],
    ['BROKEN', cell.broken],
    ['DOWN', cell.down],
    ['SILENT', cell.silent],
  ].flatMap(([word, count]) => (count === 0 ? [] : [`${word} ${count}`]));
  return ['payments dev', version, `${cell.good} of ${cell.instances}`, ...marks].join(' ');
}

test('the counts of a cell are those that status --all words, of any fleet that was asked', () => {
  fc.assert(
    fc.property(instances, (made) => {
      const all = made.map(
        (one, n) =>
          ({
            ...{ v: 1, env: 'dev', service: 'payments', instance: `i-${n}`, sequence: 1, pinned: false },
            ...{ agentVersion: '0.1.0', at: new Date(ASKED).toISOString(), ...one },
            drift: one.version !== '1.1.0',
          }) as InstanceStatus,
      );
      const status = {
        ...{ service: 'payments', desired: { version: '1.1.0' }, trouble: undefined, pause: undefined },
        ...{ owner: undefined, queue: [], instances: all },
      };
      const environments = [{ env: 'dev', services: [status as never] }];
      expect([wordsOf(all, '1.1.0')]).toEqual(statusAllLines({ at: NOW, environments }));
    }),
    { numRuns: 50 },
  );
});
