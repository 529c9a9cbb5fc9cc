import { openOutput } from '../../shared/output.ts';
import type { ExitCode, OutputFormat, Renderer } from '../events.ts';
import { createJson, jsonLine } from '../render/json.ts';
import { createLines } from '../render/lines.ts';
import { createTable } from '../render/live-terminal.ts';
import type { Page } from '../render/page.ts';
import { coloured, oneLine, type Paint, plain } from '../render/text.ts';
import { keypress } from './keypress.ts';
import type { Answer } from './verb.ts';

/** Standard input, output and error of the program. */

const { stdin, stdout, stderr } = process;

// The wrapper script names the streams that are closed, for Node puts /dev/null in their place.
const closed = process.env.TRIGGER_DEPLOY_CLOSED?.split(' ') ?? [];
const output = openOutput(stdout, closed.includes('1'));
const errors = openOutput(stderr, closed.includes('2'));
// A terminal that is gone: nobody answers a question any more, and SIGHUP ends the command.
stdin.on('error', () => undefined);

const joined = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
export const print = (text: string) => output.write(text);
export const complain = (lines: readonly string[]) => errors.write(joined(lines));

/**
 * To be called at the end, with the exit code. When stdout could not be written, says so on stderr, except where its
 * reader closed it (`| head`). With `isAnswer` stdout was the purpose of the command, and its exit code is not 0.
 */
export async function finishOutput(code: ExitCode, isAnswer: boolean): Promise<ExitCode> {
  const lost = await output.flush();
  if (lost !== undefined && lost.code !== 'EPIPE') {
    complain([`trigger-deploy: the output could not be written: ${oneLine(lost.message)}`]);
  }
  await errors.flush();
  return lost !== undefined && isAnswer && code === 0 ? 1 : code;
}
export const printThing = (thing: object) => print(`${jsonLine(thing)}\n`);

/** A terminal whose cursor cannot be moved. */
const isDumb = () => stdout.isTTY && process.env.TERM === 'dumb';
export const defaultFormat = (): OutputFormat => (stdout.isTTY ? 'table' : 'lines');
export const helpColumns = () => (stdout.isTTY ? stdout.columns : 100);

export function printAnswer({ things, table, lines }: Answer, format: OutputFormat): void {
  if (format === 'json') print(joined(things.map(jsonLine)));
  else print(joined(format === 'table' ? table(page()) : lines()));
}

/** Asks a person for y or n; undefined when no person can answer. */
export const askFor = (format: OutputFormat) =>
  stdin.isTTY && stdout.isTTY && format !== 'json' ? keypress(stdin) : undefined;

/**
 * With `looks`, only notes and warnings are shown while the verb works, on stderr: stdout has nothing but the answer, in
 * JSON too. JSON of another verb has all events, on stdout.
 */
export function rendererFor(looks: boolean, format: OutputFormat): Renderer {
  if (looks) return warningsOnly();
  if (format === 'json') return createJson(print);
  // A table that cannot be redrawn would show nothing until its end.
  if (format === 'lines' || isDumb()) return createLines(print);
  const live = stdout.isTTY;
  const size = () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
  return createTable({ terminal: { live, write: print, size }, paint: painter(), now: Date.now });
}

function warningsOnly(): Renderer {
  return {
    event(event) {
      if (event.type !== 'note') return;
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
