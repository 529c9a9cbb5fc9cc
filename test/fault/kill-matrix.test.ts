import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { allCases, EVERYTHING, playAll, titleOf } from './support/kill/matrix.ts';
import { openStage, type Stage } from './support/kill/stage.ts';

/** A spread sample of the kill matrix, the same each time; kill-matrix.long.test.ts has more of it. */

const LANES = 4;
/** Of all scenarios and recoveries this one in so many, and of their points. */
const ONE_LIFE_IN = 5;
const ONE_IN = 41;
/** Two dozen seconds on two idle cores; here others may be at work. */
const PATIENCE_MS = 240_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

test(
  'an agent killed at a port call resumes or rolls back: one whole version runs, one ending is reported',
  async () => {
    const lives = EVERYTHING.filter((_, i) => i % ONE_LIFE_IN === 0);
    const all = await allCases(stage, lives, { lanes: LANES });
    const sample = all.filter((_, i) => i % ONE_IN === 0);
    const outcomes = await playAll(stage, sample, { lanes: LANES });
    const failed = outcomes.filter(({ problems }) => problems.length > 0);
    expect(failed.map((outcome) => `${titleOf(outcome.case)}: ${outcome.problems.join('\n')}`)).toEqual([]);
    proved(
      'kill',
      `${sample.length} of ${all.length} kill points of ${lives.length} scenarios and recoveries`,
    );
  },
  PATIENCE_MS,
);
