import type { Op } from './trace.ts';

/** The end of a call, or the beginning of one where it counts: an fsync covers what was done before it began. */
export type Event = { at: number; op: Op; phase: 'begin' | 'end' };

export function eventsOf(ops: readonly Op[]): Event[] {
  const events: Event[] = [];
  for (const op of ops) {
    // The number of a closed file may be given to the next one before the close is seen to end.
    if (op.op === 'close') events.push({ at: op.begin, op, phase: 'end' });
    else events.push({ at: op.end, op, phase: 'end' });
    if (op.op === 'fsync' || op.op === 'syncfs' || op.op === 'rename')
      events.push({ at: op.begin - 0.5, op, phase: 'begin' });
  }
  return events.sort((a, b) => a.at - b.at);
}
