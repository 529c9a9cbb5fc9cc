import { afterAll, beforeAll, expect, test } from 'vitest';
import { DAY } from '../support/part-of-today.ts';
import { proved } from '../support/reliability.ts';
import { allCases, callOf, EVERYTHING, indifferent, playAll, titleOf } from './support/kill/matrix.ts';
import { openStage, type Stage } from './support/kill/stage.ts';

/**
 * The kill matrix as far as minutes reach: a spread of all calls, each killed before, during and after. Each day other
 * calls are chosen, so that runs on 42 days try all. `npm run fault -- --all` tries all at once.
 */

const LANES = 5;
const ONE_IN = 42;
/** It takes a minute or two on two idle cores. */
const PATIENCE_MS = 30 * 60_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

test(
  'an agent killed at any port call resumes or rolls back: one whole version runs, one ending is reported',
  async () => {
    const all = await allCases(stage, EVERYTHING, { lanes: LANES });
    const calls = [...Map.groupBy(all, callOf).values()];
    const chosen = calls.filter((_, i) => i % ONE_IN === DAY % ONE_IN).flat();
    const outcomes = await playAll(stage, chosen, { lanes: LANES });
    const failed = outcomes.filter(({ problems }) => problems.length > 0);
    expect(failed.map((outcome) => `${titleOf(outcome.case)}: ${outcome.problems.join('\n')}`)).toEqual([]);
    expect(chosen.length).toBeGreaterThanOrEqual(90);

    const { calls: whole, same, different } = indifferent(outcomes);
    process.stdout.write(
      `${chosen.length} of ${all.length} kill points (day ${DAY % ONE_IN} of ${ONE_IN}). For ${same} of ${whole} calls it made no difference whether the ` +
        `kill came before, during or after; it did for\n${different.map((title) => `  ${title}\n`).join('')}`,
    );
    proved(
      'kill',
      `${chosen.length} of ${all.length} kill points of ${EVERYTHING.length} scenarios and recoveries`,
    );
  },
  PATIENCE_MS,
);
