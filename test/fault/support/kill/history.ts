import type { Report } from '../../../../shared/report.ts';
import { isEnding } from '../../../../shared/states.ts';
import type { Event } from './plan.ts';

/** The course of a deployment, as events.jsonl shows it. */

interface Journaled {
  deployment: string;
  state: string;
  direction: 'forward' | 'back';
  hooksDone: { beforeStop: number; afterStart: number };
  n: number;
}

/** The active deployment of an event that says what the journal holds since; undefined for other events. */
export function journaledOf(event: Event): Journaled | undefined {
  return event.what === 'journal' ? ((event.active as Journaled | null) ?? undefined) : undefined;
}

const nameOf = ({ state, direction }: Journaled) => (direction === 'back' ? `back:${state}` : state);

/** The states of the deployment as they were journalled, each named once in a row. */
export function chainOf(events: readonly Event[], deployment: string): string[] {
  const names = events
    .map(journaledOf)
    .filter((active) => active?.deployment === deployment)
    .map((active) => nameOf(active as Journaled));
  return names.filter((name, i) => name !== names[i - 1]);
}

/** Where a new life may step back in the chain: the check begins anew, and a rollback as a whole. */
const STEPS_BACK: Readonly<Record<string, string>> = {
  watching: 'checking',
  'back:checking': 'back:starting',
};

/**
 * The chain is the course, state by state, none left out, and steps back at most once for each kill. A kill from
 * outside may hit between a write and its being noted here: then one state may be missing.
 */
export function chainProblems(
  events: readonly Event[],
  deployment: string,
  course: readonly string[],
  { kills, fromOutside }: { kills: number; fromOutside: boolean },
): string[] {
  const chain = chainOf(events, deployment);
  const wrong = (why: string) => [`${deployment} ${why}: ${chain.join(' → ')}`];
  let place = -1;
  let back = 0;
  let missing = 0;
  for (const name of chain) {
    if (STEPS_BACK[course[place] ?? ''] === name) {
      back += 1;
      place = course.indexOf(name);
      continue;
    }
    const next = course.indexOf(name, place + 1);
    if (next < 0) return wrong(`was ${name} where it cannot be`);
    missing += next - place - 1;
    place = next;
  }
  missing += course.length - 1 - place;
  if (back > kills) return wrong(`stepped back ${back} times in ${kills} kills`);
  if (missing > (fromOutside ? kills : 0)) return wrong(`left out ${missing} states of its course`);
  return fromOutside ? [] : reportProblems(events, deployment);
}

/**
 * Reports say what the journal says, in its order, and their numbers rise. A duplicate is answered with
 * the number and the state that are in the journal.
 */
function reportProblems(events: readonly Event[], deployment: string): string[] {
  const problems: string[] = [];
  const journalled = new Set<string>(['0 accepted']);
  const states = new Set<string>(['accepted']);
  let last = -1;
  for (const event of events) {
    const active = journaledOf(event);
    if (active?.deployment === deployment) {
      journalled.add(`${active.n} ${active.state}`);
      states.add(active.state);
    }
    const report = event.what === 'report' ? (event.report as Report) : undefined;
    if (report?.deployment !== deployment) continue;
    const isEnded = isEnding(report.state);
    if (!isEnded && !states.has(report.state)) problems.push(`${report.state} was reported before it was so`);
    if (report.n <= last && !isEnded && !journalled.has(`${report.n} ${report.state}`)) {
      problems.push(`report ${report.n} of ${deployment} came after ${last}`);
    }
    last = Math.max(last, report.n);
  }
  return problems;
}

/** A hook on record as done never runs again, and traffic that was taken away was given back. */
export function hookProblems(events: readonly Event[]): string[] {
  const problems: string[] = [];
  let active: Journaled | undefined;
  let drained = false;
  for (const event of events) {
    active = journaledOf(event) ?? active;
    if (event.what === 'journal' && event.active === null) active = undefined;
    if (event.what !== 'hook-begin') continue;
    const kind = event.kind as keyof Journaled['hooksDone'];
    drained = kind === 'beforeStop';
    if (active?.deployment === event.deployment && (active?.hooksDone[kind] ?? 0) > 0) {
      problems.push(`the ${kind} hook ran again, although it was on record as done`);
    }
  }
  if (drained) problems.push('traffic was taken away and not given back');
  return problems;
}
