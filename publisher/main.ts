#!/usr/bin/env node
import { homedir } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { parseDuration } from '../shared/config-file.ts';
import { TriggerDeployError } from '../shared/errors.ts';
import { errorJson, errorLines, exitCodeOf } from './cli/error-output.ts';
import { keypress } from './cli/keypress.ts';
import type { Verb } from './cli/options.ts';
import { environmentOf, type Invocation, type InvocationOf, parseCommandLine } from './cli/parse.ts';
import { cancel } from './commands/cancel.ts';
import { confirm } from './commands/confirm.ts';
import { deploy } from './commands/deploy.ts';
import { history } from './commands/history.ts';
import { keygen } from './commands/keygen.ts';
import { pause, unpause } from './commands/pause.ts';
import { plan } from './commands/plan.ts';
import { promote } from './commands/promote.ts';
import { type PushAnswer, push, pushAndDeploy } from './commands/push.ts';
import { restart } from './commands/restart.ts';
import { resume } from './commands/resume.ts';
import { rollback } from './commands/rollback.ts';
import { show } from './commands/show.ts';
import { status } from './commands/status.ts';
import { statusAll } from './commands/status-all.ts';
import { watch } from './commands/watch.ts';
import { type Environment, environmentNames, loadBeside, loadEnvironment } from './config/load.ts';
import type { ExitCode, OutputFormat, PublisherEvent, Renderer } from './events.ts';
import { openNotifier } from './notify/notifier.ts';
import { strategyOf } from './plan/strategy.ts';
import { parseSize } from './plan/waves.ts';
import { decisionLines } from './render/decision.ts';
import { historyLines, historyTable } from './render/history.ts';
import { createJson, jsonLine } from './render/json.ts';
import { keygenLines } from './render/keygen.ts';
import { createLines } from './render/lines.ts';
import { createTable } from './render/live-terminal.ts';
import type { Page } from './render/page.ts';
import { pauseLines } from './render/pause.ts';
import { planLines, planTable } from './render/plan.ts';
import { pushJson, pushLines, pushNote } from './render/push.ts';
import { showLines, showTable } from './render/show.ts';
import { statusLines, statusTable } from './render/status.ts';
import { statusAllJson, statusAllLines, statusAllTable } from './render/status-all.ts';
import { coloured, oneLine, type Paint, plain } from './render/text.ts';
import { openSession, type Session } from './session.ts';

/** Composition root of trigger-deploy: the only file that reads the environment, signals and exit codes. */

const DEFAULT_TIMEOUT_MS = 10 * 60 * 1000;
/** What a shell reports for a program that SIGINT ended. */
const KILLED_BY_INTERRUPT = 130;

const { stdin, stdout, stderr } = process;
/** Whoever read our output has gone (`| head`): the work goes on, unseen. */
let unread = false;
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    unread = true;
  });
}
const print = (text: string) => void (unread || stdout.write(text));
const printLines = (lines: readonly string[]) => print(lines.map((line) => `${line}\n`).join(''));
const complain = (lines: readonly string[]) =>
  void (unread || stderr.write(lines.map((line) => `${line}\n`).join('')));

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<ExitCode> {
  // Known before the command line is checked, so that a wrong one is told in the form that was asked for.
  const asJson = /(^|\s)--output[= ]json(\s|$)/.test(argv.join(' '));
  try {
    const columns = stdout.isTTY ? stdout.columns : 100;
    const invocation = await parseCommandLine(argv, { version: packageJson.version, columns });
    if (invocation.verb === 'print') {
      print(`${invocation.text}\n`);
      return 0;
    }
    return await perform(invocation);
  } catch (error) {
    if (asJson) print(`${errorJson(error, Date.now())}\n`);
    complain(errorLines(error, argv.includes('--verbose')));
    return exitCodeOf(error);
  }
}

async function perform(invocation: Invocation): Promise<ExitCode> {
  const format = invocation.output ?? (stdout.isTTY ? 'table' : 'lines');
  if (invocation.verb === 'keygen') {
    const answer = await keygen(invocation);
    if (format === 'json') print(`${jsonLine({ type: 'keygen', ...answer })}\n`);
    else printLines(keygenLines(answer));
    return 0;
  }
  const source = { cwd: process.cwd(), home: homedir(), variables: process.env, file: invocation.configFile };
  const load = (name: string) => loadBeside(source, name);
  const renderer = rendererFor(invocation.verb, format);
  // However the program ends, the terminal's cursor comes back.
  process.once('exit', () => renderer.close());
  const { detach, stop } = listenForInterrupts(invocation);
  const listeners = [(event: PublisherEvent) => renderer.event(event)];
  const emit = (event: PublisherEvent) => {
    for (const listener of listeners) listener(event);
  };
  const options = { signal: stop, emit, environment: process.env, load };
  if (invocation.verb === 'status' && invocation.all) {
    const environments = await environmentNames(source);
    const open = async (name: string) =>
      await openSession(await load(name), { ...options, emit: named(name, emit) });
    const found = await statusAll({ service: invocation.service, environments, open, now: Date.now });
    if (format === 'json') printLines(statusAllJson(found).map(jsonLine));
    else printLines(format === 'table' ? statusAllTable(found, page()) : statusAllLines(found));
    return 0;
  }
  const wanted = { name: environmentOf(invocation), orHome: invocation.verb === 'push' };
  const env = await loadEnvironment(source, wanted);
  const session = await openSession(env, options);
  const notifier = openNotifier(session, process.env);
  listeners.push(notifier.onEvent);
  let thrown: unknown;
  try {
    return await command(session, invocation, { format, renderer, detach });
  } catch (error) {
    thrown = error;
    throw error;
  } finally {
    const unsent = await notifier.close(thrown);
    renderer.close();
    if (unsent !== undefined) complain([`warning: ${unsent}`]);
    session.close();
  }
}

/** Verbs that bring something to instances, as a deployment goes. */
type Going = 'deploy' | 'restart' | 'promote' | 'push';

interface Surroundings {
  format: OutputFormat;
  renderer: Renderer;
  /** Aborted by the first Ctrl-C of a command that follows a deployment. */
  detach: AbortSignal;
}

async function command(
  session: Session,
  invocation: Exclude<Invocation, { verb: 'keygen' }>,
  { format, renderer, detach }: Surroundings,
): Promise<ExitCode> {
  /** Each thing as a JSON line, else a table on a terminal and lines on a pipe. */
  const answer = (things: readonly object[], table: (page: Page) => string[], lines: () => string[]) => {
    renderer.close();
    if (format === 'json') printLines(things.map(jsonLine));
    else printLines(format === 'table' ? table(page()) : lines());
    return 0 as const;
  };
  const ask = stdin.isTTY && stdout.isTTY && format !== 'json' ? keypress(stdin) : undefined;
  switch (invocation.verb) {
    case 'deploy':
      return await deploy(session, { ...deployOptions(session.env, invocation), ask, detach });
    case 'restart': {
      const { service, reason } = invocation;
      const options = { service, reason, ...goingOptions(session.env, invocation) };
      return await restart(session, { ...options, ask, detach });
    }
    case 'promote': {
      const { service, from, version, config: configs, reason } = invocation;
      const options = { service, from, version, configs, reason, ...goingOptions(session.env, invocation) };
      return await promote(session, { ...options, ask, detach });
    }
    case 'plan': {
      const { service, version } = invocation;
      const planned = await plan(session, { service, version, ...stagedOptions(session.env, invocation) });
      return answer(
        [planned],
        (page) => planTable(planned, page),
        () => planLines(planned),
      );
    }
    case 'pause':
    case 'unpause': {
      const done = await (invocation.verb === 'pause' ? pause : unpause)(session, invocation);
      const lines = () => pauseLines(done);
      return answer([done], lines, lines);
    }
    case 'confirm':
    case 'cancel': {
      const decided = await (invocation.verb === 'confirm' ? confirm : cancel)(session, invocation);
      const lines = () => decisionLines(decided);
      return answer([decided], lines, lines);
    }
    case 'resume': {
      const { deployment, allowMissing, timeout: timeoutMs } = invocation;
      return await resume(session, { deployment, allowMissing, timeoutMs, ask, detach });
    }
    case 'rollback': {
      const { service, to, reason } = invocation;
      const { wait, timeoutMs, allowMissing, queueMode } = followOptions(session.env, invocation);
      const { despitePause } = invocation;
      return await rollback(session, {
        ...{ service, to, reason, wait, timeoutMs, allowMissing, queueMode, despitePause, detach },
      });
    }
    case 'watch': {
      const timeoutMs = invocation.timeout ?? DEFAULT_TIMEOUT_MS;
      return await watch(session, { deployment: invocation.deployment, timeoutMs, detach });
    }
    case 'push': {
      const { service, version, file: files, config: configs } = invocation;
      const what = { service, version, files, configs };
      if (invocation.deploy !== undefined) {
        const { reason } = invocation;
        const options = { ...what, reason, ...goingOptions(session.env, invocation), ask, detach };
        const tell = (pushed: PushAnswer) => {
          if (format === 'json') print(`${jsonLine(pushJson(pushed))}\n`);
          else session.emit(pushNote(pushed, session.clock.now()));
        };
        return await pushAndDeploy(session, options, tell);
      }
      const pushed = await push(session, what);
      const lines = () => pushLines(pushed);
      return answer([pushJson(pushed)], lines, lines);
    }
    case 'status': {
      const found = await status(session, invocation);
      const { services, env, at } = found;
      const time = new Date(at).toISOString();
      return answer(
        services.map((one) => ({ type: 'status', time, env, ...one })),
        (page) => statusTable(found, page),
        () => statusLines(found),
      );
    }
    case 'history': {
      const { service, limit, failed, since: sinceMs } = invocation;
      const found = await history(session, { service, limit, failed, sinceMs });
      return answer(
        found.deployments.map((one) => ({ type: 'deployment', ...one })),
        (page) => historyTable(found, page),
        () => historyLines(found),
      );
    }
    case 'show': {
      const found = await show(session, invocation);
      return answer(
        [{ type: found.type, ...found.deployment, decisions: found.decisions, reports: found.reports }],
        (page) => showTable(found, page),
        () => showLines(found),
      );
    }
  }
}

function followOptions(env: Environment, invocation: InvocationOf<Going | 'rollback'>) {
  const defaults = env.services[invocation.service] ?? {};
  const timeout = defaults.timeout === undefined ? undefined : parseDuration(defaults.timeout);
  return {
    wait: !invocation.noWait,
    timeoutMs: invocation.timeout ?? timeout ?? DEFAULT_TIMEOUT_MS,
    allowMissing: invocation.allowMissing ?? defaults.allowMissing ?? 0,
    queueMode: invocation.jump ? 'jump' : invocation.queue ? 'queue' : undefined,
  } as const;
}

function deployOptions(env: Environment, invocation: InvocationOf<'deploy'>) {
  const { service, version, reason } = invocation;
  return { ...{ service, version, reason }, ...goingOptions(env, invocation) };
}

function goingOptions(env: Environment, invocation: InvocationOf<Going>) {
  const options = {
    ...followOptions(env, invocation),
    ...stagedOptions(env, invocation),
  };
  if (!options.wait && options.strategy.name === 'rolling') {
    const why = env.confirm === 'person' ? `${env.name} asks for a person` : 'a rolling deployment is driven';
    throw new TriggerDeployError('USAGE', `${why}: it cannot be announced and left`, {
      hint: 'leave --no-wait out, or add --strategy all; a publisher that dies is no loss: resume goes on',
    });
  }
  return options;
}

function stagedOptions(env: Environment, invocation: InvocationOf<Going | 'plan'>) {
  const { service, strategy, canary, batch, confirm, autoConfirm, pauseBetween, only, where } = invocation;
  const defaults = env.services[service] ?? {};
  const wish = { strategy, canary, batch, confirm, autoConfirmMs: autoConfirm, pauseBetweenMs: pauseBetween };
  const allowed = defaults.maxFailures === undefined ? 0 : (parseSize(defaults.maxFailures) ?? 0);
  return {
    ...{ only, where },
    strategy: strategyOf(env, service, wish),
    maxFailures: invocation.maxFailures ?? allowed,
    onFailure: invocation.onFailure ?? defaults.onFailure ?? 'rollback',
  } as const;
}

/** Notes about one environment of several say which. */
function named(env: string, emit: (event: PublisherEvent) => void) {
  return (event: PublisherEvent) =>
    emit(event.type === 'note' ? { ...event, text: `${env}: ${event.text}` } : event);
}

function rendererFor(verb: Verb, format: OutputFormat): Renderer {
  if (format === 'json') return createJson(print);
  if (['status', 'history', 'show'].includes(verb)) return warningsOnly();
  if (format === 'lines') return createLines(print);
  const live = stdout.isTTY && process.env.TERM !== 'dumb';
  const size = () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
  return createTable({ terminal: { live, write: print, size }, paint: painter(), now: Date.now });
}

/** A command that looks has one answer on stdout; what went wrong on the way belongs beside it. */
function warningsOnly(): Renderer {
  return {
    event(event) {
      if (event.type === 'note')
        complain([`${event.level === 'warning' ? 'warning: ' : ''}${oneLine(event.text)}`]);
    },
    close() {},
  };
}

function page(): Page {
  return { columns: stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY, paint: painter() };
}

/** https://no-color.org */
function painter(): Paint {
  return stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb' ? coloured : plain;
}

/** The first Ctrl-C ends the following, or the command; the second ends the program where it stands. */
function listenForInterrupts(invocation: Invocation): { detach: AbortSignal; stop: AbortSignal } {
  const detach = new AbortController();
  const stop = new AbortController();
  const { verb } = invocation;
  const follows =
    ['deploy', 'rollback', 'restart', 'promote', 'watch', 'resume'].includes(verb) ||
    (verb === 'push' && invocation.deploy !== undefined);
  let interrupted = false;
  const onSignal = () => {
    if (interrupted) process.exit(KILLED_BY_INTERRUPT);
    interrupted = true;
    const publishes = verb === 'push' || verb === 'promote';
    const published = publishes ? ': no version was published' : '';
    const hint = publishes ? `the same ${verb} again sends only what is not there yet` : undefined;
    const reason = new TriggerDeployError('INTERRUPTED', `interrupted${published}`, { hint });
    (follows ? detach : stop).abort(reason);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  return { detach: detach.signal, stop: stop.signal };
}
