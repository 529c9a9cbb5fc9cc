import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chainOf } from './history.ts';
import { currentOf, endingsOf, problemsIn } from './invariants.ts';
import { type KillPoint, type PackageKind, PHASES } from './plan.ts';
import { SCENARIOS, type Scenario, type ScenarioName } from './scenarios.ts';
import type { Root, Stage } from './stage.ts';

/** Every kill point of a scenario, found by watching it undisturbed, and what comes of each. */

export interface Case {
  scenario: ScenarioName;
  type: PackageKind;
  /** Kill points of the lives before the one under test: a recovery is killed again. */
  earlier: readonly KillPoint[];
  point: KillPoint;
}

export interface Outcome {
  case: Case;
  problems: string[];
  /** What came of it, without times and pids: the same for kill points that make no difference. */
  print: string;
}

/** A recovery that is killed again begins with one of these. */
const RECOVERIES: readonly { scenario: ScenarioName; earlier: KillPoint }[] = [
  // The service is being started, by a command that has lost its agent.
  { scenario: 'succeeds', earlier: { method: 'command.start', n: 1, phase: 'during' } },
  // It has decided to go back, and has just done so.
  { scenario: 'rolls back', earlier: { method: 'package.switchTo', n: 2, phase: 'after' } },
  { scenario: 'cancelled while draining', earlier: { method: 'hooks.run', n: 2, phase: 'during' } },
];

/** How often these are called depends on how long a check takes to fail, or who is quicker: so many are certain. */
const CERTAIN: Readonly<Record<string, number>> = {
  'rolls back probe.probe': 3,
  'rolls back manager.status': 6,
  'first fails probe.probe': 1,
  'first fails manager.status': 7,
  'cancel came first inbox.receive': 2,
};

/** A life that is watched to find its kill points. */
export interface Watched {
  scenario: ScenarioName;
  type: PackageKind;
  earlier: readonly KillPoint[];
}

const NAMES = Object.keys(SCENARIOS) as ScenarioName[];

/** Every scenario, and every recovery, with each type of package. */
export const EVERYTHING: readonly Watched[] = (['jar', 'archive'] as const).flatMap((type) => [
  ...NAMES.map((scenario) => ({ scenario, type, earlier: [] })),
  ...RECOVERIES.map(({ scenario, earlier }) => ({ scenario, type, earlier: [earlier] })),
]);

/** Watches the life after `earlier` undisturbed, and arms each of its calls in turn. */
async function casesOf(stage: Stage, { scenario, type, earlier }: Watched): Promise<Case[]> {
  const root = await stage.open(type, SCENARIOS[scenario]);
  try {
    for (const point of earlier) await root.live(point);
    const before = root.events().length;
    const ended = await root.live();
    if (ended !== 0)
      throw new Error(`${scenario} (${type}), undisturbed, ended with ${ended}: ${logOf(root)}`);
    const problems = await problemsIn(stage, root, SCENARIOS[scenario], {
      kills: earlier.length,
      fromOutside: false,
    });
    if (problems.length > 0) {
      throw new Error(`${scenario} (${type}), undisturbed: ${problems.join('; ')}\n${logOf(root)}`);
    }
    return root
      .events()
      .slice(before)
      .filter((event) => event.what === 'call')
      .map((event) => ({ method: String(event.method), n: Number(event.n) }))
      .filter(({ method, n }) => n <= (CERTAIN[`${scenario} ${method}`] ?? Number.POSITIVE_INFINITY))
      .flatMap(({ method, n }) =>
        PHASES.filter((phase) => phase !== 'during' || method !== 'reporter.progress').map((phase) => ({
          scenario,
          type,
          earlier,
          point: { method, n, phase },
        })),
      );
  } finally {
    await root.close();
  }
}

/** The kill points of all these lives, in a fixed order. */
export async function allCases(
  stage: Stage,
  lives: readonly Watched[],
  options: { lanes: number },
): Promise<Case[]> {
  return (await inLanes(lives, options.lanes, (life) => casesOf(stage, life))).flat();
}

/** Kills the agent there, starts it until it is done, and looks at what is left. */
async function play(stage: Stage, one: Case): Promise<Outcome> {
  const scenario: Scenario = SCENARIOS[one.scenario];
  const root = await stage.open(one.type, scenario);
  const points = [...one.earlier, one.point];
  try {
    const problems: string[] = [];
    for (const point of points) {
      const ended = await root.live(point);
      if (ended !== 'SIGKILL') problems.push(`${nameOf(point)} was not reached: ${ended}`);
    }
    const ended = await root.live();
    if (ended !== 0) problems.push(`it did not settle: ${ended}`);
    problems.push(...(await problemsIn(stage, root, scenario, { kills: points.length, fromOutside: false })));
    if (problems.length > 0) problems.push(logOf(root));
    return { case: one, problems, print: printOf(root, scenario) };
  } finally {
    await root.close();
  }
}

/** Plays them a few at a time: they wait more than they work. */
export async function playAll(
  stage: Stage,
  cases: readonly Case[],
  options: { lanes: number; onOutcome?: (outcome: Outcome) => void },
): Promise<Outcome[]> {
  return await inLanes(cases, options.lanes, async (one) => {
    const outcome = await play(stage, one);
    options.onOutcome?.(outcome);
    return outcome;
  });
}

async function inLanes<T, R>(jobs: readonly T[], lanes: number, work: (job: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = [...jobs.entries()];
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

function nameOf({ method, n, phase }: KillPoint): string {
  return `${phase} ${method} #${n}`;
}

export function titleOf({ scenario, type, earlier, point }: Case): string {
  return [`${scenario} (${type})`, ...[...earlier, point].map(nameOf)].join(', then ');
}

/** The call that is killed, whichever its phase. */
export function callOf({ scenario, type, earlier, point: { method, n } }: Case): string {
  return [`${scenario} (${type})`, ...earlier.map(nameOf), `${method} #${n}`].join(', then ');
}

/**
 * Of the calls that were killed in all their phases, those where it made no difference which: the same course, the
 * same starts, the same hooks, the same downloads.
 */
export function indifferent(outcomes: readonly Outcome[]): {
  calls: number;
  same: number;
  different: string[];
} {
  const calls = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const call = callOf(outcome.case);
    calls.set(call, [...(calls.get(call) ?? []), outcome]);
  }
  const whole = [...calls.values()].filter((phases) => phases.length === PHASES.length);
  const isSame = (phases: Outcome[]) => new Set(phases.map(({ print }) => print)).size === 1;
  const different = whole
    .filter((phases) => !isSame(phases))
    .map(([first]) => callOf((first as Outcome).case));
  return { calls: whole.length, same: whole.length - different.length, different };
}

function printOf(root: Root, scenario: Scenario): string {
  const events = root.events();
  const count = (what: string) => events.filter((event) => event.what === what).length;
  return JSON.stringify([
    currentOf(root),
    Object.keys(scenario.endings).map((deployment) => [
      endingsOf(events, deployment)[0]?.state,
      chainOf(events, deployment),
    ]),
    ['start-begin', 'stop-begin', 'hook-begin', 'hook-end'].map(count),
    events.filter((event) => event.what === 'call' && event.method === 'store.read').length,
  ]);
}

export function logOf({ dir }: Root): string {
  const tail = (name: string) => readFileSync(join(dir, name), 'utf8').slice(-6000);
  return `\n--- agent.log\n${tail('agent.log')}\n--- events.jsonl\n${tail('events.jsonl')}`;
}
