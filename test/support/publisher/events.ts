import type { Finished } from '../programs.ts';

/** A line of `--output json`, as far as tests read it. */
export interface EventLine {
  readonly type: string;
  readonly time: string;
  readonly deployment?: string;
  readonly text?: string;
  readonly report?: {
    instance: string;
    state: string;
    step?: string;
    error?: { code: string; message: string; detail?: string };
  };
}

export const parseEvent = (line: string) => JSON.parse(line) as EventLine;

/** What a publisher with `--output json` said, in order. */
export function eventsOf({ stdout }: Finished): EventLine[] {
  return stdout.split('\n').filter(Boolean).map(parseEvent);
}

/** The program's end without the notes that AWS is slow to answer: a loaded machine has such calls anywhere. */
export function withoutWaits(finished: Finished): Finished {
  const stdout = finished.stdout.replace(/^[\d:.]+ waiting for \S+ \([^\n]*\)\n/gm, '');
  return { ...finished, stdout };
}

/** A publisher's end in few lines, for the message of a failed assertion: its states per instance, then its last words. */
export function storyOf(finished: Finished): string {
  const { code, stdout, stderr } = finished;
  const lines = new Map<string, string[]>();
  for (const { report } of eventsOf(finished)) {
    if (!report) continue;
    const { instance, step, state, error } = report;
    const said = `${step === undefined ? '' : `${step} `}${state}${error ? ` (${error.code}: ${error.message} ${error.detail ?? ''})` : ''}`;
    lines.set(instance, [...(lines.get(instance) ?? []), said]);
  }
  const states = [...lines].map(([instance, said]) => `${instance}: ${said.join(', ')}`);
  return [`exit code ${code}`, ...states, stderr.trimEnd(), stdout.slice(-600)].join('\n');
}

/** Seconds from the announcement to the first report of this state, by the publisher's own clock. */
export function secondsUntil(events: readonly EventLine[], state: string): number {
  const announced = events.find(({ type }) => type === 'started');
  const reached = events.find(({ report }) => report?.state === state);
  if (!announced || !reached) throw new Error(`not announced, or no instance was ever ${state}`);
  return (Date.parse(reached.time) - Date.parse(announced.time)) / 1000;
}
