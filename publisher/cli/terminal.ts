import { isatty } from 'node:tty';
import type { OutputFormat, Renderer } from '../events.ts';
import { createJson, jsonLine } from '../render/json.ts';
import { createLines } from '../render/lines.ts';
import { createTable } from '../render/live-terminal.ts';
import type { Page } from '../render/page.ts';
import { coloured, oneLine, type Paint, plain } from '../render/text.ts';
import { keypress } from './keypress.ts';
import { complain, joined, print } from './standard-output.ts';
import type { Answer } from './verb.ts';

/** What a person sees and types: answers, the renderer of a format, questions. */

const { stdout } = process;

export const printThing = (thing: object) => print(`${jsonLine(thing)}\n`);
export const printLines = (lines: readonly string[]) => print(joined(lines));

/** A terminal whose cursor cannot be moved. */
const isDumb = () => stdout.isTTY && process.env.TERM === 'dumb';

export function printAnswer({ things, table, lines }: Answer, format: OutputFormat): void {
  if (format === 'json') print(joined(things.map(jsonLine)));
  else print(joined(format === 'table' ? table(page()) : lines()));
}

/** Asks a person for y or n; undefined when no person can answer. */
export function askFor(format: OutputFormat) {
  // To open stdin takes time: only a terminal is opened.
  if (!isatty(0) || !stdout.isTTY || format === 'json') return undefined;
  // A terminal that is gone: nobody answers a question any more, and SIGHUP ends the command.
  process.stdin.on('error', () => undefined);
  return keypress(process.stdin);
}

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
