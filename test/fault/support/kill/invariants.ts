import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { serviceState } from '../../../../agent/deploy/state.ts';
import { readRecord } from '../../../../agent/host/releases/release-record.ts';
import { readJournal } from '../../../../agent/host/state/journal.ts';
import type { Artifact } from '../../../../shared/manifest.ts';
import type { Report } from '../../../../shared/report.ts';
import { type Ending, isEnding } from '../../../../shared/states.ts';
import { commandLineOf, markedProcesses } from '../../../support/fleet/marked-processes.ts';
import { chainProblems, hookProblems, journaledOf } from './history.ts';
import { type Event, type PackageKind, SERVICE } from './plan.ts';
import type { Scenario } from './scenarios.ts';
import type { Root, Stage } from './stage.ts';

/** What must hold after any fault and the next start. Returns a sentence for each part that does not. */
export async function problemsIn(
  stage: Stage,
  root: Root,
  scenario: Scenario,
  options: { kills: number; fromOutside: boolean },
): Promise<string[]> {
  const events = root.events();
  const current = currentOf(root);
  return [
    ...(await releaseProblems(stage, root, current)),
    ...(await serviceProblems(root, scenario, current)),
    ...(await stateProblems(root, scenario)),
    ...endingProblems(events, scenario),
    ...Object.entries(scenario.endings).flatMap(([deployment, courses]) =>
      chainProblems(
        events,
        deployment,
        courses[endingsOf(events, deployment)[0]?.state as Ending] ?? [],
        options,
      ),
    ),
    ...hookProblems(events),
    ...onceProblems(events, scenario),
    ...litterProblems(root),
  ];
}

/** The version `current` points at; null when there is none. */
export function currentOf({ dir }: Pick<Root, 'dir'>): string | null {
  try {
    return readlinkSync(join(dir, 'service', 'current')).replace(/^releases\//, '');
  } catch {
    return null;
  }
}

/** Every release is complete and made of the right bytes, `current` is one of them. */
async function releaseProblems(
  stage: Stage,
  { dir, world }: Root,
  current: string | null,
): Promise<string[]> {
  const problems: string[] = [];
  const releases = namesIn(join(dir, 'service', 'releases'));
  if (current !== null && !releases.includes(current)) problems.push(`current points at nothing: ${current}`);
  for (const version of releases) {
    const release = join(dir, 'service', 'releases', version);
    if (!(await readRecord(release, version))) problems.push(`the release ${version} is not complete`);
    for (const artifact of stage.artifactsOf(world.type, version)) {
      const isWhole = isLaidOut(release, world.type, artifact, await stage.content(artifact));
      if (!isWhole) problems.push(`${artifact.name} of the release ${version} is not what was published`);
    }
  }
  return problems;
}

function isLaidOut(release: string, type: PackageKind, { role, name }: Artifact, bytes: Buffer): boolean {
  const isArchive = type === 'archive' && role === 'package';
  const file = isArchive ? 'server.cjs' : role === 'package' ? `${SERVICE}.jar` : name;
  try {
    const found = readFileSync(join(release, file));
    return isArchive
      ? bytes.includes(found) && namesIn(join(release, 'public')).length === 1
      : bytes.equals(found);
  } catch {
    return false;
  }
}

/** What `current` says is what answers, and it is the instance's only process. */
async function serviceProblems(
  { dir, world }: Root,
  scenario: Scenario,
  current: string | null,
): Promise<string[]> {
  const problems: string[] = [];
  if (!scenario.runsAfter.includes(current)) problems.push(`current is ${current}`);
  const answer = await versionAt(world.host, world.port);
  if (answer !== current) problems.push(`current is ${current}, and what answers is ${answer}`);
  const processes = markedProcesses(dir);
  if (processes.length !== (current === null ? 0 : 1)) {
    problems.push(`${processes.length} processes are left: ${processes.map(commandLineOf).join('; ')}`);
  }
  return problems;
}

async function stateProblems({ dir }: Root, scenario: Scenario): Promise<string[]> {
  const problems: string[] = [];
  const path = join(dir, 'state', 'services', `${SERVICE}.journal`);
  const state = await readJournal({ path, parse: (value) => serviceState.parse(value) });
  if (!state) return ['the journal holds no state'];
  if (state.active || state.waiting || state.outbox.length > 0) problems.push('something is left to do');
  for (const [deployment, courses] of Object.entries(scenario.endings)) {
    const mine = state.endings.filter(({ report }) => report.deployment === deployment);
    const states = mine.map(({ report }) => report.state);
    if (mine.length !== 1 || !(String(states[0]) in courses)) {
      problems.push(`the journal has the endings ${states.join(', ') || 'none'} of ${deployment}`);
    }
  }
  const releases = namesIn(join(dir, 'service', 'releases'));
  for (const version of [state.running?.version, state.previousGood]) {
    if (version && !releases.includes(version)) problems.push(`${version} is precious, and was removed`);
  }
  if ((state.running?.version ?? null) !== currentOf({ dir })) {
    problems.push(`the journal says that ${state.running?.version} runs`);
  }
  return problems;
}

/** Every report of an ending, whether it was delivered or sent on the fast path. */
export function endingsOf(events: readonly Event[], deployment: string): Report[] {
  return events
    .filter(({ what }) => what === 'delivered' || what === 'report')
    .map((event) => event.report as Report)
    .filter((report) => report.deployment === deployment && isEnding(report.state));
}

/** One ending per deployment, delivered at least once and always the same, byte for byte. */
function endingProblems(events: readonly Event[], scenario: Scenario): string[] {
  return Object.keys(scenario.endings).flatMap((deployment) => {
    const delivered = events.filter(({ what }) => what === 'delivered');
    if (endingsOf(delivered, deployment).length === 0) return [`no ending of ${deployment} was delivered`];
    const distinct = new Set(endingsOf(events, deployment).map((report) => JSON.stringify(report)));
    return distinct.size === 1 ? [] : [`${deployment} has several endings: ${[...distinct].join(' ')}`];
  });
}

/** Nothing ran beside another of its kind; what was not to be touched was not; what was done was not done again. */
function onceProblems(events: readonly Event[], scenario: Scenario): string[] {
  const problems: string[] = [];
  const count = (what: string) => events.filter((event) => event.what === what).length;
  if (count('two-hooks') > 0) problems.push('two hooks ran at once');
  if (count('two-services') > 0) problems.push('two services ran at once');
  if (!scenario.restarts && count('start-begin') + count('stop-begin') > 0) {
    problems.push('the service was restarted, and nothing was switched');
  }
  // Once started since the switch, it is not started again on the way forward.
  let startedFor: string | undefined;
  let active: ReturnType<typeof journaledOf>;
  for (const event of events) {
    active = journaledOf(event) ?? active;
    if (active?.direction !== 'forward') continue;
    if (event.what === 'start-end') startedFor = active.deployment;
    else if (event.what === 'start-begin' && startedFor === active.deployment) {
      problems.push(`what ${active.deployment} had started was started again`);
    }
  }
  return problems;
}

/** Nothing outside the service's own directories was touched, and in them nothing is left behind. */
function litterProblems({ dir }: Root): string[] {
  const problems: string[] = [];
  const expect = (where: string, known: RegExp) => {
    const strange = namesIn(join(dir, where)).filter((name) => !known.test(name));
    if (strange.length > 0) problems.push(`left in ${where || 'the root'}: ${strange.join(', ')}`);
  };
  expect('', /^(agent\.log|events\.jsonl|world\.json|desired\.jws|inbox|outside|run|service|state)$/);
  expect('inbox', /^$/);
  expect('outside', /^sentinel$/);
  expect('service', /^(\.staging|current|releases)$/);
  expect('service/.staging', /^$/);
  expect('state', /^(services|commands)$/);
  expect(`state/commands/${SERVICE}`, /^$/);
  // Half a line is set aside, for a person to look at.
  expect('state/services', new RegExp(`^${SERVICE}\\.journal(\\.corrupt-[-0-9TZ]+)?$`));
  if (readFileSync(join(dir, 'outside', 'sentinel'), 'utf8') !== 'not ours')
    problems.push('the outside was touched');
  return problems;
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

async function versionAt(host: string, port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  get({ host, port, path: '/', agent: false, timeout: 5000 }, async (response) => {
    let body = '';
    for await (const chunk of response) body += chunk;
    resolve((JSON.parse(body) as { version: string }).version);
  }).on('error', () => resolve(null));
  return await promise;
}
