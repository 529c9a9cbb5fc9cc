import { cleanLine } from '../../../shared/clean-text.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { shellLine } from '../../../shared/shell-line.ts';
import type { ExitCode, PublisherEvent } from '../../events.ts';
import type { Person } from '../../record/origin.ts';
import type { ErrorView, RunAnswer, RunView } from '../api.ts';
import { type Answer, refused } from '../http/answer.ts';
import { MOST_RUNS } from '../http/limits.ts';
import type { Command, CommandLine, OwnEvents } from '../ports.ts';
import { createEventHub } from './own-events.ts';

/** How long a command that has ended is kept, ms: the same id is the same command until then. */
const KEPT_MS = 5 * 60_000;
/** How long the pages show it after its end, ms. */
const SHOWN_MS = 60_000;
/** An answer comes after this time at the latest, ms: a load balancer waits for 60 s. */
const ANSWER_MS = 25_000;
/** What changes nothing ends after `ANSWER_MS`: nobody would see its answer. It has this long to say so, ms. */
const END_MS = 4000;
const MOST_NOTES = 20;
const LONGEST_NOTE = 1000;

export interface RunRequest {
  /** The id that the page made. */
  id: string;
  argv: readonly string[];
  command: Command;
  person: Person;
  confirmsEmpty: boolean;
}

/** The commands that this process carries out. */
export interface Runs extends OwnEvents {
  /**
   * Carries out a command, or finds the one with the same id of the same person. Resolves when the deployment has
   * started, when it waits in the queue, when it has ended, or after 25 s; one that changes nothing is ended then.
   */
  start(request: RunRequest): Promise<Answer>;
  /** The command, while it has announced nothing and may still be taken out of the line; undefined from then on. */
  waiting(by: string, id: string): Command | undefined;
  /**
   * Takes what `by` began out of the line. Resolves once its place is given up, after 25 s at the latest. What has begun
   * meanwhile is left to itself, and the answer says so.
   */
  leave(by: string, id: string, person: Person): Promise<Answer>;
  /** Those that go on, and those that ended in the last minute; the oldest first. */
  views(): RunView[];
  /** Calls `show` now and after each change. Returns what ends that. */
  watch(show: (runs: readonly RunView[]) => void): () => void;
  /**
   * Stops driving: the deployments stay as they are. Resolves when all commands have ended; `stop` ends those that do not
   * end by themselves.
   */
  detach(reason: unknown): Promise<void>;
  stop(reason: unknown): void;
}

export interface RunsOptions {
  commands: CommandLine;
  /** The error for the page, with the command that its hint names. */
  view(error: unknown): Promise<{ error: ErrorView; exitCode: ExitCode }>;
  /** A command has changed, or may have changed, what pages show of the environment or of one of its services. */
  onChange(env: string, service?: string): void;
  /** ms since the epoch. */
  now(): number;
}

interface Run {
  view: RunView;
  command: Command;
  /** Who took it out of the line. */
  leftBy: string | undefined;
  /** Resolves with the first answer that is worth to be sent. */
  first: PromiseWithResolvers<void>;
  answer: { things: readonly object[]; lines: readonly string[] } | undefined;
  /** Of each kind only so many go on at once. */
  kind: string;
  /** Whether the pages show it. */
  isShown: boolean;
  timer: NodeJS.Timeout | undefined;
  /** Of this command alone, so that nothing of it stays on a signal that lives as long as the process. */
  detach: AbortController;
  stop: AbortController;
}

export function createRuns({ commands, view, onChange, now }: RunsOptions): Runs {
  const runs = new Map<string, Run>();
  const watchers = new Set<(views: readonly RunView[]) => void>();
  const hub = createEventHub();
  const going = new Map<Run, Promise<void>>();
  let isEnding = false;

  const views = () => [...runs.values()].filter((run) => run.isShown).map((run) => run.view);
  const changed = () => {
    const all = views();
    for (const show of watchers) show(all);
  };
  const change = (run: Run, more: Partial<RunView>) => {
    run.view = { ...run.view, ...more };
    changed();
  };

  const hear = (key: string, run: Run, event: PublisherEvent) => {
    hub.tell(key, event);
    if (event.type === 'started') {
      const { deployment } = event;
      const { place: _, ...rest } = run.view;
      run.view = { ...rest, state: 'running', deployment: run.view.deployment ?? deployment };
      changed();
      onChange(event.env, event.service);
      run.first.resolve();
    } else if (event.type === 'note') {
      const { at, level, place } = event;
      const text = cleanLine(event.text).slice(0, LONGEST_NOTE);
      const notes = [...run.view.notes.slice(1 - MOST_NOTES), { at, level, text }];
      change(run, { notes, ...(place !== undefined && { state: 'queued', place }) });
      if (place !== undefined) run.first.resolve();
    }
  };

  const carryOut = async (key: string, run: Run, { command, person, confirmsEmpty }: RunRequest) => {
    try {
      const order = { person, confirmsEmpty, detach: run.detach.signal, stop: run.stop.signal };
      const outcome = await commands.invoke(command, { ...order, emit: (event) => hear(key, run, event) });
      if (outcome.kind === 'answer') run.answer = { things: outcome.things, lines: outcome.lines };
      const wasDetached = outcome.kind === 'driven' && run.detach.signal.aborted;
      change(run, { state: wasDetached ? 'detached' : 'ended', exitCode: outcome.exitCode });
    } catch (thrown) {
      const { error, exitCode } = await view(thrown);
      const hasLeft = run.leftBy !== undefined && error.code === 'CANCELLED';
      const left = `${run.leftBy} took it out of the line; nothing was announced`;
      const isDetached = run.detach.signal.aborted && !hasLeft;
      change(run, {
        ...{ state: isDetached ? 'detached' : 'ended', exitCode },
        error: hasLeft ? { code: error.code, message: left } : error,
      });
    } finally {
      hub.ended(key);
      run.first.resolve();
      if (command.effect !== 'signs') runs.delete(key);
      else {
        if (command.env !== undefined) onChange(command.env, command.service);
        run.timer = setTimeout(() => hide(key, run), SHOWN_MS);
        run.timer.unref();
      }
    }
  };
  const hide = (key: string, run: Run) => {
    run.isShown = false;
    changed();
    run.timer = setTimeout(() => {
      runs.delete(key);
      hub.forget(key);
    }, KEPT_MS - SHOWN_MS);
    run.timer.unref();
  };

  const begin = (key: string, request: RunRequest): Run => {
    const { id, argv, command, person } = request;
    const { verb, env, service, deployment } = command;
    const run: Run = {
      command,
      leftBy: undefined,
      first: Promise.withResolvers(),
      answer: undefined,
      kind: kindOf(request),
      // What changes nothing, such as the plan of a dialog, is nobody else's business.
      isShown: command.effect === 'signs',
      timer: undefined,
      detach: new AbortController(),
      stop: new AbortController(),
      view: {
        ...{ run: id, argv, line: shellLine(['trigger-deploy', ...argv]), verb, by: person.name },
        ...(env !== undefined && { env }),
        ...(service !== undefined && { service }),
        ...(deployment !== undefined && { deployment }),
        ...{ startedAt: now(), state: 'starting', notes: [] },
      },
    };
    runs.set(key, run);
    changed();
    const work = carryOut(key, run, request);
    going.set(run, work);
    void work.finally(() => going.delete(run));
    return run;
  };

  return {
    async start(request) {
      const key = `${request.person.name} ${request.id}`;
      const known = runs.get(key);
      if (known !== undefined && known.view.argv.join('\0') !== request.argv.join('\0')) {
        return refused(400, 'USAGE', 'the id of the run belongs to another command');
      }
      if (known === undefined && isEnding) {
        return refused(503, 'ENDING', 'this console is ending', { hint: 'open the page again' });
      }
      const kind = kindOf(request);
      const others = [...going.keys()].filter((run) => run.kind === kind);
      if (known === undefined && others.length >= MOST_RUNS) {
        const hint = 'wait until one of them has ended, or use a terminal';
        return refused(503, 'TOO_MANY', `this console carries out ${MOST_RUNS} commands already`, { hint });
      }
      const run = known ?? begin(key, request);
      const endsThen = request.command.effect !== 'signs';
      const ending = endsThen && setTimeout(() => run.stop.abort(tooLong()), ANSWER_MS);
      const timer = setTimeout(run.first.resolve, endsThen ? ANSWER_MS + END_MS : ANSWER_MS);
      await run.first.promise;
      clearTimeout(timer);
      if (ending) clearTimeout(ending);
      return answerOf(run);
    },
    waiting(by, id) {
      const run = runs.get(`${by} ${id}`);
      return run !== undefined && isWaiting(run) ? run.command : undefined;
    },
    async leave(by, id, person) {
      const run = runs.get(`${by} ${id}`);
      if (run === undefined || !isWaiting(run))
        return refused(409, 'NOT_WAITING', 'it does not wait any more');
      run.leftBy = cleanLine(person.name);
      run.detach.abort(new TriggerDeployError('INTERRUPTED', 'taken out of the line'));
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, ANSWER_MS);
      await Promise.race([going.get(run), late.promise]);
      clearTimeout(timer);
      const { deployment, env = '' } = run.view;
      if (deployment === undefined) return { status: 200, json: { run: run.view } };
      const hint = `trigger-deploy resume ${deployment} --env ${env} continues it`;
      return refused(409, 'NOT_WAITING', 'it had begun already; this console does not drive it now', {
        hint,
      });
    },
    views,
    watch(show) {
      watchers.add(show);
      show(views());
      return () => watchers.delete(show);
    },
    async detach(reason) {
      isEnding = true;
      for (const run of going.keys()) run.detach.abort(reason);
      await Promise.all(going.values());
    },
    stop(reason) {
      for (const run of going.keys()) run.stop.abort(reason);
    },
    listen: hub.listen,
  };
}

const tooLong = () =>
  new TriggerDeployError('INTERRUPTED', `it took longer than ${ANSWER_MS / 1000} s`, {
    hint: 'ask for less, such as with a smaller --limit, or use a terminal',
  });

/** A pause finds a place while deployments go on, and what one person looks at takes no place from another. */
function kindOf({ command: { effect, follows }, person }: RunRequest): string {
  if (effect !== 'signs') return `looks ${person.name}`;
  return follows ? 'follows' : 'decides';
}

/** Whether it is about to begin a deployment and has not: what has begun is cancelled, not left. */
const isWaiting = ({ command, view: { state, deployment } }: Run) =>
  command.follows &&
  command.effect === 'signs' &&
  deployment === undefined &&
  (state === 'starting' || state === 'queued');

/** 200: it has answered; 202: it goes on; else its error: 400 for exit code 2, 409 for a refusal, 500 for the rest. */
function answerOf({ view: run, answer }: Run): Answer {
  const { error, exitCode } = run;
  if (error !== undefined) {
    const status = exitCode === 2 ? 400 : exitCode === 4 ? 409 : 500;
    return { status, json: { error, run } };
  }
  const isOver = run.state === 'ended' || run.state === 'detached';
  const json: RunAnswer = { run, ...answer, ...(exitCode !== undefined && { exitCode }) };
  return { status: isOver ? 200 : 202, json };
}
