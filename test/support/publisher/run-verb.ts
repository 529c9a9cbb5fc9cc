import { parseCommandLine } from '../../../publisher/cli/parse.ts';
import type { Answer, Row } from '../../../publisher/cli/verb.ts';
import { VERBS } from '../../../publisher/cli/verbs.ts';
import type { Environment } from '../../../publisher/config/load.ts';
import type { ExitCode, PublisherEvent } from '../../../publisher/events.ts';
import { note } from '../../../publisher/events.ts';
import { openRecord } from '../../../publisher/record/record.ts';
import { openSession } from '../../../publisher/session.ts';
import type { Clock } from '../../../shared/clock.ts';
import { asTriggerDeployError, TriggerDeployError } from '../../../shared/errors.ts';
import type { Stage } from './stage.ts';

/** Command lines run inside the test's own process, as `perform` runs them: dozens at a time cost little. */

export interface RunningVerb {
  readonly argv: readonly string[];
  /** Resolves once `has` is true; asked again after each event. */
  until(has: () => boolean): Promise<void>;
  readonly events: readonly PublisherEvent[];
  /** The first Ctrl-C. */
  interrupt(): void;
  /** The exit code, or the error that ended it. */
  readonly ended: Promise<{ code: ExitCode; lines: readonly string[] } | { error: TriggerDeployError }>;
}

interface VerbOptions {
  clock: Clock;
  onEvent?: (event: PublisherEvent) => void;
  /** Loads another environment, for verbs that need more than one. */
  load?: (name: string) => Promise<Environment>;
}

export async function runVerb(
  { env }: Pick<Stage, 'env'>,
  argv: readonly string[],
  { clock, onEvent, load }: VerbOptions,
): Promise<RunningVerb> {
  const parsed = await parseCommandLine(argv, { version: '0', columns: 100, knowsService: async () => true });
  if (parsed.verb === 'print') throw new Error(`${argv.join(' ')} prints help`);
  const row: Row = VERBS[parsed.verb];
  const [detach, stop] = [new AbortController(), new AbortController()];
  const follows = row.follows?.(parsed) ?? false;
  const grace = row.looks ? { readMs: 0, writeMs: 500 } : { readMs: 1000, writeMs: 3000 };
  const interruption = { signal: AbortSignal.any([detach.signal, stop.signal]), ...grace };
  const events: PublisherEvent[] = [];
  const waiting = new Set<() => void>();
  const emit = (event: PublisherEvent) => {
    events.push(event);
    onEvent?.(event);
    for (const look of waiting) look();
  };
  const open = async () => {
    const options = { signal: stop.signal, interruption, emit, environment: {}, ...(load && { load }) };
    const opened = await openSession(env, options);
    const warn = (text: string) => note({ emit, clock }, text, 'warning');
    const reading = grace.readMs === 0 ? interruption.signal : undefined;
    return { ...opened, clock, record: openRecord({ ...opened, warn, clock, reading }) };
  };
  const around = {
    ...{ format: 'lines' as const, ask: undefined, detach: detach.signal, verbs: VERBS, open },
    environments: async () => [env.name],
    printThing: () => undefined,
    printLines: () => undefined,
    stop: stop.signal,
    ...{ gate: undefined, confirmEmpty: undefined, openConsolePorts: undefined },
    config: { cwd: '/nowhere', home: '/nowhere', variables: {} },
    aws: () => {
      throw new Error('a verb that works without a session is tested as a program');
    },
  };
  const run = async () => {
    const alone = row.alone?.(parsed, around);
    if (alone !== undefined) return await alone;
    const session = await open();
    try {
      return await row.run?.(session, parsed, around);
    } finally {
      session.close();
    }
  };
  const answered = (ended: Answer | ExitCode | undefined) =>
    typeof ended === 'object'
      ? { code: ended.exitCode ?? 0, lines: ended.lines() }
      : { code: ended ?? 0, lines: [] };
  return {
    argv,
    events,
    until: (has) =>
      new Promise((resolve) => {
        const look = () => {
          if (!has()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    interrupt() {
      (follows ? detach : stop).abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
    },
    ended: run().then(answered, (error: unknown) => ({ error: asTriggerDeployError(error) })),
  };
}
