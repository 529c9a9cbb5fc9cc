import { homedir } from 'node:os';
import { createAws } from '../../shared/aws.ts';
import { environmentNames, loadBeside, loadEnvironment } from '../config/load.ts';
import type { ExitCode, PublisherEvent } from '../events.ts';
import { openSession, type Session } from '../session.ts';
import { openIdFile } from './id-file.ts';
import { listenForInterrupts } from './interrupts.ts';
import { environmentOf, type Invocation } from './parse.ts';
import { complain, defaultFormat } from './standard-output.ts';
import { askFor, printAnswer, printLines, printThing, rendererFor } from './terminal.ts';
import type { Answer, Row, Surroundings } from './verb.ts';
import { VERBS } from './verbs.ts';

/** How long calls to AWS may last after Ctrl-C, ms: in a verb that only reads, and in one that changes something. */
const AT_ONCE = { readMs: 0, writeMs: 500 };
const IN_SECONDS = { readMs: 1000, writeMs: 3000 };

type Listener = (event: PublisherEvent) => void;

/** Carries out a checked command line: opens what its verb needs, shows what happens, prints the answer. */
export async function perform(invocation: Invocation): Promise<ExitCode> {
  const { junit: path } = invocation;
  if (typeof path !== 'string') return await performAnd(invocation, []);
  const { openJUnitFile } = await import('./junit-file.ts');
  const junit = openJUnitFile(path, aboutOf(invocation));
  try {
    const code = await performAnd(invocation, [junit.event]);
    junit.ended({ code });
    return code;
  } catch (error) {
    junit.ended({ error });
    throw error;
  }
}

/** What a report calls the command, and the group of its instances. */
function aboutOf(invocation: Invocation) {
  const { verb, service, version, deployment } = invocation;
  const words = [verb, service, version, deployment].filter((one) => typeof one === 'string');
  const group = typeof service === 'string' ? service : 'trigger-deploy';
  return { command: words.join(' '), group: `${group}.${environmentOf(invocation) ?? 'env'}` };
}

async function performAnd(invocation: Invocation, listening: readonly Listener[]): Promise<ExitCode> {
  const row: Row = VERBS[invocation.verb];
  const format = invocation.output ?? defaultFormat();
  const source = {
    cwd: process.cwd(),
    home: homedir(),
    variables: process.env,
    file: invocation.configFile,
  };
  const renderer = rendererFor(row.looks ?? false, format);
  // Shows the terminal's cursor again, however the program ends.
  process.once('exit', () => renderer.close());
  const { detach, stop } = listenForInterrupts(invocation.verb, {
    follows: row.follows?.(invocation) ?? false,
    publishes: row.publishes ?? false,
  });
  const listeners: Listener[] = [(event) => renderer.event(event), ...listening];
  const { idFile } = invocation;
  if (typeof idFile === 'string') listeners.push(openIdFile(idFile));
  const emit = (event: PublisherEvent) => {
    for (const listen of listeners) listen(event);
  };
  const load = (name: string) => loadBeside(source, name);
  const interruption = { signal: AbortSignal.any([detach, stop]), ...(row.looks ? AT_ONCE : IN_SECONDS) };
  const options = { signal: stop, interruption, emit, environment: process.env, load };
  const around: Surroundings = {
    ...{ format, detach, stop, printThing, printLines, ask: askFor(format), verbs: VERBS, config: source },
    aws: (place) => createAws(place, { interruption, onSlow: (text) => emit(noteNow(text)) }),
    environments: () => environmentNames(source),
    open: async (name) => await openSession(await load(name), { ...options, emit: named(name, emit) }),
  };
  const finish = (ended: Answer | ExitCode): ExitCode => {
    if (typeof ended === 'number') return ended;
    renderer.close();
    printAnswer(ended, format);
    return ended.exitCode ?? 0;
  };

  const alone = row.alone?.(invocation, around);
  if (alone !== undefined) return finish(await alone);
  const wanted = { name: environmentOf(invocation), orHome: row.orHome ?? false };
  const session = await openSession(await loadEnvironment(source, wanted), options);
  return await inSession(session, listeners, renderer, async () => {
    if (row.run === undefined) throw new Error(`${invocation.verb} has nothing to run`);
    return finish(await row.run(session, invocation, around));
  });
}

/** Runs `work` and sends notifications about it; closes notifier, renderer and session also when `work` fails. */
async function inSession(
  session: Session,
  listeners: Listener[],
  renderer: { close(): void },
  work: () => Promise<ExitCode>,
): Promise<ExitCode> {
  const notifier = session.env.notify && (await openNotifier(session));
  if (notifier) listeners.push(notifier.onEvent);
  let thrown: unknown;
  try {
    return await work();
  } catch (error) {
    thrown = error;
    throw error;
  } finally {
    const failure = await notifier?.close(thrown);
    renderer.close();
    if (failure !== undefined) complain([`warning: ${failure}`]);
    session.close();
  }
}

const noteNow = (text: string): PublisherEvent => ({ type: 'note', at: Date.now(), level: 'info', text });

async function openNotifier(session: Session) {
  const { openNotifier } = await import('../notify/notifier.ts');
  return openNotifier(session, process.env);
}

/** Puts the name of the environment before each note, because the command works in several environments. */
function named(env: string, emit: (event: PublisherEvent) => void) {
  return (event: PublisherEvent) =>
    emit(event.type === 'note' ? { ...event, text: `${env}: ${event.text}` } : event);
}
