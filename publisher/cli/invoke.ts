import { type AwsOptions, createAws } from '../../shared/aws.ts';
import type { ConfigSource } from '../config/config-source.ts';
import { environmentNames, loadBeside, loadEnvironment } from '../config/load.ts';
import type { ExitCode, OutputFormat, PublisherEvent } from '../events.ts';
import { type Connect, openSession, type Session, type SessionOptions, shareSession } from '../session.ts';
import { environmentOf, type Invocation } from './parse.ts';
import type { Answer, Row, Surroundings } from './verb.ts';
import { VERBS } from './verbs.ts';

/**
 * Carries out a checked command line, for a terminal and for the page of the console: opens what its verb needs, sends the
 * notices, and closes both. It prints nothing.
 */

/** How long calls to AWS may last after an interruption, ms: in a verb that only reads, and in one that changes something. */
const AT_ONCE = { readMs: 0, writeMs: 500 };
const IN_SECONDS = { readMs: 1000, writeMs: 3000 };

/** How a command ended: it has answered, or it drove or followed a deployment. */
export type Result = { kind: 'answer'; answer: Answer } | { kind: 'driven'; exitCode: ExitCode };

/** For whom a command is carried out, and how it is heard, asked and ended. */
export interface Calling
  extends Pick<Surroundings, 'detach' | 'stop' | 'gate' | 'confirmEmpty' | 'openConsolePorts'>,
    Pick<SessionOptions, 'person' | 'argv'> {
  source: ConfigSource;
  format: OutputFormat;
  emit(event: PublisherEvent): void;
  /** Hears why a notice was not sent, once the command has ended. */
  onUnsent(text: string): void;
  /** Called with the result before the last notices are sent, which may take seconds. */
  onResult?(result: Result): void;
  /** What a person at a terminal sees and is asked at once; a page has none. */
  terminal?: Pick<Surroundings, 'ask' | 'printThing' | 'printLines'> | undefined;
  /** Connections that outlive the command; without them it opens its own. */
  connect?: Connect | undefined;
}

const NO_TERMINAL = { ask: undefined, printThing() {}, printLines() {} };

/** @throws as the verb. */
export async function invoke(invocation: Invocation, calling: Calling): Promise<Result> {
  const { source, stop, detach, connect, person, argv } = calling;
  const hearing = [calling.emit];
  const emit = (event: PublisherEvent) => {
    for (const hear of hearing) hear(event);
  };
  const row: Row = VERBS[invocation.verb];
  const interruption = { signal: AbortSignal.any([detach, stop]), ...(row.looks ? AT_ONCE : IN_SECONDS) };
  const load = (name: string) => loadBeside(source, name);
  const environment = source.variables;
  const shared = { signal: stop, interruption, environment, person, argv };
  const openWith = async (name: string, hear: Calling['emit']): Promise<Session> => {
    const options = { ...shared, emit: hear };
    if (connect) return shareSession(await connect(name), { ...options, connect });
    return await openSession(await load(name), { ...options, load });
  };
  const around: Surroundings = {
    ...{ format: calling.format, detach, stop, config: source, verbs: VERBS },
    ...{ gate: calling.gate, confirmEmpty: calling.confirmEmpty },
    ...{ ...NO_TERMINAL, ...calling.terminal, openConsolePorts: calling.openConsolePorts },
    aws: (place: AwsOptions) => createAws(place, { interruption, onSlow: (text) => emit(noteNow(text)) }),
    environments: () => environmentNames(source),
    open: (name) => openWith(name, named(name, emit)),
  };
  const finish = (ended: Answer | ExitCode): Result => {
    const result: Result =
      typeof ended === 'number' ? { kind: 'driven', exitCode: ended } : { kind: 'answer', answer: ended };
    calling.onResult?.(result);
    return result;
  };

  const alone = row.alone?.(invocation, around);
  if (alone !== undefined) return finish(await alone);
  const name = environmentOf(invocation);
  const session =
    connect && name !== undefined
      ? await openWith(name, emit)
      : await openSession(await loadEnvironment(source, { name, orHome: row.orHome ?? false }), {
          ...{ ...shared, emit, load },
        });
  return await notifying(session, { ...calling, hearing }, async () => {
    if (row.run === undefined) throw new Error(`${invocation.verb} has nothing to run`);
    return finish(await row.run(session, invocation, around));
  });
}

/** Runs `work` and sends notices about it; closes notifier and session also when `work` fails. */
async function notifying(
  session: Session,
  { hearing, onUnsent, source }: Pick<Calling, 'onUnsent' | 'source'> & { hearing: Calling['emit'][] },
  work: () => Promise<Result>,
): Promise<Result> {
  const notifier = session.env.notify && (await openNotifier(session, source));
  if (notifier) hearing.push(notifier.onEvent);
  let thrown: unknown;
  try {
    return await work();
  } catch (error) {
    thrown = error;
    throw error;
  } finally {
    const failure = await notifier?.close(thrown);
    if (failure !== undefined) onUnsent(failure);
    session.close();
  }
}

const noteNow = (text: string): PublisherEvent => ({ type: 'note', at: Date.now(), level: 'info', text });

async function openNotifier(session: Session, { variables }: ConfigSource) {
  const { openNotifier } = await import('../notify/notifier.ts');
  return openNotifier(session, variables);
}

/** Puts the name of the environment before each note, because the command works in several environments. */
function named(env: string, emit: Calling['emit']): Calling['emit'] {
  return (event) => emit(event.type === 'note' ? { ...event, text: `${env}: ${event.text}` } : event);
}
