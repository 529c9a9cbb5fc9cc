import { homedir } from 'node:os';
import type { ExitCode, PublisherEvent } from '../events.ts';
import { openIdFile } from './id-file.ts';
import { listenForInterrupts } from './interrupts.ts';
import { invoke } from './invoke.ts';
import { environmentOf, type Invocation } from './parse.ts';
import { complain, defaultFormat } from './standard-output.ts';
import { askFor, printAnswer, printLines, printThing, rendererFor } from './terminal.ts';
import type { Row } from './verb.ts';
import { VERBS } from './verbs.ts';

type Listener = (event: PublisherEvent) => void;

/** Carries out a checked command line at a terminal: shows what happens, prints the answer, writes the files it asks for. */
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
  const ask = askFor(format);
  try {
    const result = await invoke(invocation, {
      ...{ source, format, detach, stop, gate: ask, confirmEmpty: ask },
      terminal: { ask, printThing, printLines },
      emit(event) {
        for (const listen of listeners) listen(event);
      },
      onResult(ended) {
        if (ended.kind === 'driven') return;
        renderer.close();
        printAnswer(ended.answer, format);
      },
      onUnsent(text) {
        renderer.close();
        complain([`warning: ${text}`]);
      },
      async openConsolePorts() {
        const { openConsolePorts } = await import('./console-ports.ts');
        return openConsolePorts(source);
      },
    });
    return result.kind === 'driven' ? result.exitCode : (result.answer.exitCode ?? 0);
  } finally {
    renderer.close();
  }
}
