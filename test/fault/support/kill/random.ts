import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { renewDoc } from '../../../support/reliability-doc.ts';
import { randomOf } from '../../../support/shared/random.ts';
import { problemsIn } from './invariants.ts';
import { allCases, EVERYTHING, indifferent, logOf, playAll, titleOf } from './matrix.ts';
import type { PackageKind } from './plan.ts';
import { SCENARIOS, type Scenario, type ScenarioName } from './scenarios.ts';
import { openStage, type Stage } from './stage.ts';

/**
 * `npm run fault -- [--seed N] [--minutes M] [--case I]`: SIGKILL from outside, at random times, over random
 * scenarios. What is done follows from the seed alone; when exactly a kill hits, from the machine as well.
 * `npm run fault -- --all`: every kill point of the matrix, one after the other.
 */

const LANES = 4;
/** A life that is left alone lasts about as long, ms. */
const LATEST_KILL_MS = 1500;
const MOST_KILLS = 3;
const SAY_EVERY = 20;

interface Plan {
  number: number;
  scenario: ScenarioName;
  type: PackageKind;
  killsAfter: number[]; // ms
  /** One start or stop takes its time. */
  slow: boolean;
}

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '1' },
    case: { type: 'string' },
    all: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const minutes = Number(values.minutes);
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  process.stderr.write('usage: npm run fault -- [--seed N] [--minutes M] [--case I] | --all\n');
  process.exit(2);
}
const stage = await openStage();
try {
  process.exitCode = values.all ? await tryAll() : await tryAtRandom();
} finally {
  await stage.close();
}

async function tryAtRandom(): Promise<number> {
  process.stdout.write(`seed ${seed}, ${minutes} min\n`);
  const end = performance.now() + minutes * 60_000;
  const only = values.case === undefined ? undefined : Number(values.case);
  let next = only ?? 0;
  let kills = 0;
  let cases = 0;
  const failed: string[] = [];
  const lane = async () => {
    while (failed.length === 0 && (only === undefined ? performance.now() < end : next === only)) {
      const plan = planOf(seed, next);
      next += 1;
      const played = await playPlan(stage, plan);
      kills += played.kills;
      cases += 1;
      if (played.problems.length > 0) failed.push(`${describe(plan)}\n${played.problems.join('\n')}`);
      if (cases % SAY_EVERY === 0) process.stdout.write(`${cases} cases, ${kills} kills\n`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (failed.length > 0) {
    process.stdout.write(`FAILED after ${cases} cases, ${kills} kills\n${failed.join('\n')}\n`);
    return 1;
  }
  process.stdout.write(`${cases} cases, ${kills} kills: all invariants held\n`);
  if (only === undefined) {
    const figure = `seed ${seed}: ${kills} kills in ${cases} deployments`;
    renewDoc([{ row: 'kill-random', provenBy: 'npm run fault', figure }]);
  }
  return 0;
}

async function tryAll(): Promise<number> {
  const all = await allCases(stage, EVERYTHING, { lanes: LANES });
  let done = 0;
  let failed = 0;
  const outcomes = await playAll(stage, all, {
    lanes: LANES,
    onOutcome({ case: one, problems }) {
      done += 1;
      if (problems.length > 0) {
        failed += 1;
        process.stdout.write(`FAILED ${titleOf(one)}\n${problems.join('\n')}\n`);
      }
      if (done % (5 * SAY_EVERY) === 0)
        process.stdout.write(`${done} of ${all.length} kill points, ${failed} failed\n`);
    },
  });
  const { calls, same, different } = indifferent(outcomes);
  process.stdout.write(
    `${all.length} kill points, ${failed} failed. For ${same} of ${calls} calls it made no difference whether the ` +
      `kill came before, during or after; it did for\n${different.map((title) => `  ${title}\n`).join('')}`,
  );
  if (failed > 0) return 1;
  const figure = `all ${all.length} kill points of ${EVERYTHING.length} scenarios and recoveries`;
  renewDoc([{ row: 'kill', provenBy: 'npm run fault -- --all', figure }]);
  return 0;
}

/** The plan with this number: the same for the same seed, however many were played before. */
function planOf(from: number, number: number): Plan {
  const { below, chance, pick } = randomOf(from + number * 0x9e3779b1);
  const scenario = pick(Object.keys(SCENARIOS) as ScenarioName[]);
  const type = pick(['jar', 'archive'] as const);
  const kills = 1 + below(MOST_KILLS);
  const killsAfter = Array.from({ length: kills }, () => below(LATEST_KILL_MS));
  return { number, scenario, type, killsAfter, slow: chance(0.3) };
}

async function playPlan(on: Stage, plan: Plan): Promise<{ problems: string[]; kills: number }> {
  const scenario: Scenario = SCENARIOS[plan.scenario];
  const root = await on.open(plan.type, scenario);
  let kills = 0;
  try {
    if (plan.slow) await writeFile(join(root.dir, 'run', 'slow'), '');
    const problems: string[] = [];
    for (const killAfter of plan.killsAfter) {
      const ended = await root.live(undefined, killAfter);
      if (ended === 'SIGKILL') kills += 1;
      else if (ended !== 0) problems.push(`it ended with ${ended}`);
    }
    const ended = await root.live();
    if (ended !== 0) problems.push(`it did not settle: ${ended}`);
    problems.push(...(await problemsIn(on, root, scenario, { kills, fromOutside: true })));
    if (problems.length > 0) problems.push(logOf(root));
    return { problems, kills };
  } finally {
    await root.close();
  }
}

function describe({ number, scenario, type, killsAfter, slow }: Plan): string {
  const how = `${scenario} (${type})${slow ? ', slowly' : ''}, killed after ${killsAfter.join(', then ')} ms`;
  return `case ${number} of seed ${seed}: ${how}; again: npm run fault -- --seed ${seed} --case ${number}`;
}
