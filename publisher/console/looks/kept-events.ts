import type { Report } from '../../../shared/report.ts';
import { isEnding } from '../../../shared/states.ts';
import type { PublisherEvent, Settled, Started } from '../../events.ts';

/**
 * The events of one deployment, as few as say the same: a page that begins to look gets these. Two may tell the same
 * thing: what this console drives tells it at once, and the record tells it again.
 */
export interface KeptEvents {
  /** Keeps the event. Returns false when it says nothing new. */
  add(event: PublisherEvent): boolean;
  all(): PublisherEvent[];
  /** How many instances of `expected` have ended; of all that reported when it is empty. Those in `passed` have. */
  ended(expected: readonly string[], passed: readonly string[]): { done: number; of: number };
}

type Of<T extends PublisherEvent['type']> = Extract<PublisherEvent, { type: T }>;

const MOST_NOTES = 20;
/** More instances than this are not shown: one that speaks for so many others is no instance. */
const MOST_REPORTS = 10_000;

export function keepEvents(): KeptEvents {
  let started: Started | undefined;
  let settled: Settled | undefined;
  let forgotten: Of<'forgotten'> | undefined;
  let notes: Of<'note'>[] = [];
  let stages = new Map<string, Of<'wave' | 'waiting' | 'check'>>();
  let reports = new Map<string, Of<'report'>>();

  function begin(event: Started): void {
    started = event;
    settled = undefined;
    forgotten = undefined;
    notes = [];
    stages = new Map();
    reports = new Map();
  }

  function addReport(event: Of<'report'>): boolean {
    const { instance } = event.report;
    const known = reports.get(instance)?.report;
    if (known !== undefined && (isEnding(known.state) || isSame(known, event.report))) return false;
    if (known === undefined && reports.size >= MOST_REPORTS) return false;
    reports.set(instance, event);
    return true;
  }

  function addStage(event: Of<'wave' | 'waiting' | 'check'>): boolean {
    const name = nameOf(event);
    if (stages.has(name)) return false;
    stages.set(name, event);
    return true;
  }

  return {
    add(event) {
      switch (event.type) {
        case 'started':
          begin(event);
          return true;
        case 'report':
          return addReport(event);
        case 'wave':
        case 'waiting':
        case 'check':
          return addStage(event);
        case 'forgotten': {
          const isNew = JSON.stringify(event.instances) !== JSON.stringify(forgotten?.instances ?? []);
          if (isNew) forgotten = event;
          return isNew;
        }
        case 'note':
          if (notes.some(({ text }) => text === event.text)) return false;
          notes = [...notes.slice(1 - MOST_NOTES), event];
          return true;
        case 'settled': {
          const isNew = settled?.outcome !== event.outcome || settled.text !== event.text;
          if (isNew) settled = event;
          return isNew;
        }
        case 'pause':
        case 'progress':
          return false;
      }
    },
    all() {
      const ends = settled === undefined ? [] : [settled];
      const begins = started === undefined ? [] : [started];
      const gone = forgotten === undefined ? [] : [forgotten];
      return [...begins, ...gone, ...stages.values(), ...reports.values(), ...notes, ...ends];
    },
    ended(expected, passed) {
      const over = new Set(passed);
      const of = expected.length > 0 ? expected : [...reports.keys()];
      const done = of.filter((one) => over.has(one) || isOver(reports.get(one)));
      return { done: done.length, of: of.length };
    },
  };
}

const isSame = (one: Report, other: Report) =>
  one.n === other.n && one.state === other.state && one.note === other.note;
const isOver = (event: Of<'report'> | undefined) => event !== undefined && isEnding(event.report.state);

function nameOf(event: Of<'wave' | 'waiting' | 'check'>): string {
  switch (event.type) {
    case 'wave':
      return `wave ${event.wave}`;
    case 'waiting':
      return `waiting ${event.after}`;
    case 'check':
      return `check ${event.check} ${event.phase ?? ''} ${event.state}`;
  }
}
