import { childController } from '../../shared/abort.ts';
import { asTriggerDeployError, TriggerDeployError } from '../../shared/errors.ts';
import type { ConfigSource } from '../config/config-source.ts';
import { configuresService, environmentNames, loadBeside } from '../config/load.ts';
import { type Connection, openConnection } from '../connection.ts';
import type { Command, CommandLine, ConsolePorts, Order, Outcome } from '../console/ports.ts';
import { type Connect, type Session, shareSession } from '../session.ts';
import { exitCodeOf } from './error-output.ts';
import { invoke } from './invoke.ts';
import { notOnPage } from './on-page.ts';
import { environmentOf, type Invocation, parseCommandLine } from './parse.ts';
import { misused } from './parser.ts';
import type { Row } from './verb.ts';
import { VERBS } from './verbs.ts';

/**
 * The command line and the environments, as the console uses them: the parser, the checks and the functions of the
 * terminal, over one connection for each environment. The config and the keys count as they were read first: the console is
 * started again after a change. The variables TRIGGER_DEPLOY_* that describe one environment say
 * nothing here.
 */

/** Nothing is read or connected until the console needs it. */
export function openConsolePorts(source: ConfigSource): ConsolePorts {
  const end = new AbortController();
  const connections = new Map<string, Promise<Connection>>();
  const looks = new Map<string, Promise<Session>>();
  // Once: while the file is edited, who uses the page must still be able to pause and cancel.
  const names = new Map<string, Promise<readonly string[]>>();
  const connect: Connect = (name) =>
    kept(connections, name, async () =>
      openConnection(await loadBeside(source, name), { signal: end.signal }),
    );
  const emit = () => undefined;
  const look = async (name: string) =>
    shareSession(await connect(name), { signal: end.signal, emit, environment: source.variables, connect });
  return {
    commandLine: openCommandLine(source, connect),
    environments: {
      names: () => kept(names, '', () => environmentNames(source)),
      load: async (name) => (await connect(name)).env,
      look: (name) => kept(looks, name, () => look(name)),
    },
    close() {
      end.abort(new TriggerDeployError('INTERRUPTED', 'the console ended'));
      for (const opening of connections.values())
        opening.then(
          (connection) => connection.close(),
          () => undefined,
        );
    },
  };
}

/** What `make` makes for `name`, once. After a failure, the next call makes it again. */
function kept<T>(made: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const there = made.get(name);
  if (there !== undefined) return there;
  const making = make().catch((error: unknown) => {
    made.delete(name);
    throw error;
  });
  made.set(name, making);
  return making;
}

function openCommandLine(source: ConfigSource, connect: Connect): CommandLine {
  const knowsService = (service: string) => configuresService(source, service);
  return {
    async parse(argv) {
      const parsed = await parseCommandLine(argv, { version: '', columns: 100, knowsService });
      if (parsed.verb === 'print') {
        throw new TriggerDeployError('USAGE', 'help and version are for the terminal', {
          hint: 'trigger-deploy --help',
        });
      }
      return commandOf(argv, parsed);
    },
    invoke: (command, order) => carryOut(command, order, { source, connect }),
    explain(error) {
      const { code, message, hint } = asTriggerDeployError(error);
      return { code, message, hint, exitCode: exitCodeOf(error) };
    },
  };
}

/** @throws USAGE for a command that names no environment: the page's own always do. */
function commandOf(argv: readonly string[], invocation: Invocation): Command {
  const row: Row = VERBS[invocation.verb];
  const env = environmentOf(invocation);
  const refused = notOnPage(invocation);
  if (env === undefined && refused === undefined) {
    throw misused(invocation.verb, '--env is required');
  }
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    ...{ verb: invocation.verb, env, argv: [...argv], values: invocation },
    service: text(invocation.service),
    deployment: text(invocation.deployment),
    follows: row.follows?.(invocation) ?? false,
    group: row.group,
    effect: row.onPage ?? 'signs',
    notOnPage: refused,
  };
}

async function carryOut(
  command: Command,
  { person, emit, detach, stop, confirmsEmpty }: Order,
  { source, connect }: { source: ConfigSource; connect: Connect },
): Promise<Outcome> {
  const invocation = command.values as Invocation;
  const refused = notOnPage(invocation);
  if (refused !== undefined) throw misused(invocation.verb, refused);
  // What stays attached to the signals of a command is freed with it, however long those of the console live.
  const [detaching, stopping] = [childController(detach), childController(stop)];
  const result = await invoke(invocation, {
    ...{ source, connect, person, argv: command.argv, format: 'json', emit },
    ...{ detach: detaching.controller.signal, stop: stopping.controller.signal },
    gate: undefined,
    confirmEmpty: confirmsEmpty ? true : undefined,
    openConsolePorts: undefined,
    onUnsent: (text) => emit({ type: 'note', at: Date.now(), level: 'warning', text }),
  }).finally(() => {
    detaching.release();
    stopping.release();
  });
  if (result.kind === 'driven') return result;
  const { things, exitCode = 0 } = result.answer;
  return { kind: 'answer', things, lines: result.answer.lines(), exitCode };
}
