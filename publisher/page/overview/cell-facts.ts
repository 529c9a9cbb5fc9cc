import type { Cell, UnderWay } from '../../console/api.ts';
import type { Tone } from '../parts/tone.ts';

/** What the overview says of a service in an environment: five facts at most, the worst first. Pure. */

export interface Fact {
  tone: Tone;
  glyph: string;
  /** The page's own words. */
  text: string;
  /** What somebody wrote, behind the words. */
  foreign?: string;
  /** The deployment that it is about. */
  deployment?: string;
}

/** The most facts of a cell, its version included. */
const MOST = 5;

/** How a rolling deployment stands: `⏳ 1 of 9`. */
function progressFact({ deployment, done, of, waiting, driver, resumable }: UnderWay): Fact {
  const count = `${done} of ${of}`;
  if (waiting !== undefined) return { tone: 'warn', glyph: '⏳', text: `waits, ${count}`, deployment };
  if (resumable || driver.state !== 'held') {
    return { tone: 'bad', glyph: '!', text: `NO DRIVER, ${count}`, deployment };
  }
  return { tone: 'busy', glyph: '●', text: count, deployment };
}

/** The facts behind the version: one at least, and none where nothing was ever deployed. */
export function factsOf(cell: Cell): Fact[] {
  const { trouble, underWay, pause, broken, drift, silent, queue, lastFailure, desired } = cell;
  const facts: Fact[] = [];
  if (trouble !== undefined) facts.push({ tone: 'bad', glyph: '✗', text: 'UNREADABLE', foreign: trouble });
  if (underWay) facts.push(progressFact(underWay));
  else if (isWell(cell) && trouble === undefined)
    facts.push({ tone: 'good', glyph: '✓', text: countText(cell) });
  if (broken > 0) facts.push({ tone: 'bad', glyph: '✗', text: `BROKEN ${broken}` });
  if (drift > 0 && !underWay) facts.push({ tone: 'warn', glyph: '!', text: `DRIFT ${drift}` });
  if (silent > 0) facts.push({ tone: 'bad', glyph: '?', text: `SILENT ${silent}` });
  if (pause?.scope === 'service') facts.push(pauseFact(pause));
  if (lastFailure && !underWay) {
    const { status, version, deployment } = lastFailure;
    facts.push({ tone: 'bad', glyph: '✗', text: status, foreign: version, deployment });
  }
  if (queue.length > 0) facts.push({ tone: 'dim', glyph: '', text: `${queue.length} in line` });
  if (facts.length === 0 && desired) facts.push({ tone: 'warn', glyph: '!', text: countText(cell) });
  return facts.slice(0, MOST - 1);
}

/** `⏸ cat: quarter end`. */
function pauseFact({ by, reason, unverified }: NonNullable<Cell['pause']>): Fact {
  const text = unverified ? 'PAUSED, not verified' : 'PAUSED';
  return { tone: 'warn', glyph: '⏸', text, foreign: `${shortName(by)}: ${reason}` };
}

/** Whether all instances that answer run what they should; the counts say it, beside those that are silent. */
const isWell = ({ good, instances, silent, drift, broken, desired }: Cell) =>
  desired !== undefined && drift === 0 && broken === 0 && good + silent >= instances;

const countText = ({ good, instances }: Cell) =>
  instances === 0 ? 'no instance' : `${good} of ${instances}`;

/** `ann` of `ann@acme.com` and of `ann@host`: where there is room for no more. */
export const shortName = (who: string) => who.replace(/@[^@\s]*$/, '') || who;

/** Whether a person should look at it. The pause of a whole environment is said once, at its head. */
export function needsAttention(cell: Cell): boolean {
  const { trouble, underWay, pause, broken, drift, silent, lastFailure } = cell;
  if (trouble !== undefined || broken > 0 || silent > 0 || pause?.scope === 'service') return true;
  if (underWay) {
    return underWay.waiting !== undefined || underWay.driver.state !== 'held' || underWay.resumable === true;
  }
  return drift > 0 || lastFailure !== undefined || (cell.desired !== undefined && !isWell(cell));
}
