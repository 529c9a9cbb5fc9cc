import type { OutputFormat, Renderer } from '../events.ts';
import { createJson, jsonLine } from '../render/json.ts';
import { createLines } from '../render/lines.ts';
import { createTable } from '../render/live-terminal.ts';
import type { Page } from '../render/page.ts';
import { coloured, oneLine, type Paint, plain } from '../render/text.ts';
import { keypress } from './keypress.ts';
import type { Answer } from './verb.ts';

/** Standard input, output and error of the program. */

const { stdin, stdout, stderr } = process;

/** True once the reader of stdout or stderr has closed it (`| head`). The command continues and prints nothing more. */
let unread = false;
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    unread = true;
  });
}

const joined = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
export const print = (text: string) => void (unread || stdout.write(text));
export const complain = (lines: readonly string[]) => void (unread || stderr.write(joined(lines)));
export const printThing = (thing: object) => print(`${jsonLine(thing)}\n`);

export const defaultFormat = (): OutputFormat => (stdout.isTTY ? 'table' : 'lines');
export const helpColumns = () => (stdout.isTTY ? stdout.columns : 100);

export function printAnswer({ things, table, lines }: Answer, format: OutputFormat): void {
  if (format === 'json') print(joined(things.map(jsonLine)));
  else print(joined(format === 'table' ? table(page()) : lines()));
}

/** Asks a person for y or n; undefined when no person can answer. */
export const askFor = (format: OutputFormat) =>
  stdin.isTTY && stdout.isTTY && format !== 'json' ? keypress(stdin) : undefined;

/** With `looks`, only notes and warnings are shown while the verb works, on stderr. JSON has all events, on stdout. */
export function rendererFor(looks: boolean, format: OutputFormat): Renderer {
  if (format === 'json') return createJson(print);
  if (looks) return warningsOnly();
  if (format === 'lines') return createLines(print);
  const live = stdout.isTTY && process.env.TERM !== 'dumb';
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
