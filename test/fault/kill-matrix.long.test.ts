import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { allCases, type Case, EVERYTHING, indifferent, playAll, titleOf } from './support/kill-matrix.ts';
import { openStage, type Stage } from './support/kill-stage.ts';

/**
 * The kill matrix as far as minutes reach: every point of the three courses that all others share their steps with,
 * and a spread of the rest. `npm run fault -- --all` tries every one.
 */

const LANES = 5;
const WHOLE = ['succeeds', 'rolls back', 'first fails'];
/** Of the other points, this one in so many. */
const ONE_IN = 17;
/** Five minutes on two idle cores. */
const PATIENCE_MS = 30 * 60_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

test(
  'an agent killed at any port call resumes or rolls back: one whole version runs, one ending is told',
  async () => {
    const all = await allCases(stage, EVERYTHING, { lanes: LANES });
    const isWhole = ({ scenario, type, earlier }: Case) =>
      WHOLE.includes(scenario) && type === 'jar' && earlier.length === 0;
    const rest = all.filter((one) => !isWhole(one)).filter((_, i) => i % ONE_IN === 0);
    const chosen = [...all.filter(isWhole), ...rest];
    const outcomes = await playAll(stage, chosen, { lanes: LANES });
    const failed = outcomes.filter(({ problems }) => problems.length > 0);
    expect(failed.map((outcome) => `${titleOf(outcome.case)}: ${outcome.problems.join('\n')}`)).toEqual([]);
    expect(chosen.length).toBeGreaterThanOrEqual(300);

    const { calls, same, different } = indifferent(outcomes);
    process.stdout.write(
      `${chosen.length} of ${all.length} kill points. For ${same} of ${calls} calls it made no difference whether the ` +
        `kill came before, during or after; it did for\n${different.map((title) => `  ${title}\n`).join('')}`,
    );
    proved(
      'kill',
      `${chosen.length} of ${all.length} kill points of ${EVERYTHING.length} scenarios and recoveries`,
    );
  },
  PATIENCE_MS,
);
