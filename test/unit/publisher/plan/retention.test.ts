import fc from 'fast-check';
import { expect, test } from 'vitest';
import { oldDeployments, oldVersions, wantedVersions } from '../../../../publisher/plan/retention.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import type { Desired } from '../../../../shared/desired.ts';

const DAY = 86_400_000;
const NOW = 100 * DAY;
const aged = (...days: number[]) => days.map((ago) => ({ at: NOW - ago * DAY }));
const ages = (all: readonly { at: number }[]) => all.map(({ at }) => (NOW - at) / DAY);

test.each([
  ['without a retention nothing is old', {}, []],
  ['so many of the newest are kept', { keepVersions: 4 }, [5, 6]],
  ['those of a time are kept', { keepVersionsForMs: 5.5 * DAY }, [6]],
  ['each limit keeps', { keepVersions: 5, keepVersionsForMs: DAY }, [6]],
  ['three are always kept', { keepVersions: 1 }, [4, 5, 6]],
])('%s', (_what, retention, old) => {
  expect(ages(oldVersions(aged(1, 2, 3, 4, 5, 6), retention, NOW))).toEqual(old);
});

test('the 64 newest deployments are always kept', () => {
  const all = aged(...Array.from({ length: 70 }, (_, i) => i));
  expect(oldDeployments(all, { keepDeployments: 1 }, NOW)).toHaveLength(6);
  expect(oldDeployments(all, {}, NOW)).toEqual([]);
});

const versionOf = fc.integer({ min: 0, max: 9 }).map((n) => `1.${n}`);
const recordOf = fc
  .record({
    version: versionOf,
    previous: fc.option(versionOf),
    status: fc.constantFrom('announced', 'succeeded', 'failed', 'timed-out', 'cancelled'),
    action: fc.constantFrom('deploy', 'rollback', 'restart'),
    setDesired: fc.boolean(),
    rollBackTo: fc.option(versionOf, { nil: undefined }),
    succeeded: fc.integer({ min: 0, max: 2 }),
  })
  .map(({ succeeded, ...one }) => ({ ...one, counts: { succeeded } }));
const historyOf = fc
  .array(recordOf, { maxLength: 12 })
  .map((all) => all.map((one, i) => ({ ...one, sequence: all.length - i })) as unknown as DeploymentRecord[]);

test('whatever happened: what is desired, runs, is unsettled, was last good or is returned to is wanted', () => {
  fc.assert(
    fc.property(
      historyOf,
      fc.option(
        fc.record({
          version: versionOf,
          previous: fc.option(versionOf, { nil: undefined }),
          sequence: fc.nat(12),
        }),
        {
          nil: undefined,
        },
      ),
      fc.uniqueArray(versionOf),
      (records, state, runs) => {
        const desired = state as Desired | undefined;
        const wanted = wantedVersions('dev', { desired, records, runs });
        const must = [
          ...runs,
          desired?.version,
          desired?.previous,
          records[0]?.version,
          records[0]?.previous,
          ...records.map(({ rollBackTo }) => rollBackTo),
          ...records
            .filter(({ status }) => status === 'announced' || status === 'timed-out')
            .flatMap(({ version, previous }) => [version, previous]),
          records.find(({ status, counts }) => status === 'succeeded' && counts?.succeeded)?.version,
          ...records
            .filter(({ setDesired, sequence }) => setDesired && sequence > (desired?.sequence ?? 0))
            .map(({ version }) => version),
        ].filter((version) => version !== undefined && version !== null);
        return must.every((version) => wanted.has(version));
      },
    ),
  );
});
