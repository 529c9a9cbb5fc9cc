import type { PublisherEvent, Renderer } from '../events.ts';
import { checkLines } from './check-text.ts';
import { outcomeLines, type Surface, tableLines } from './deployment-table.ts';
import { applyEvent, emptyView, type View } from './deployment-view.ts';
import { oneLine, type Paint, width } from './text.ts';
import { waveText } from './wave-text.ts';

/** The window of a table. Its size is read at each drawing, because a person can resize it. */
interface Terminal {
  /** Whether the cursor can be moved. If not, a table is not redrawn: it is written once, at its end. */
  live: boolean;
  write(text: string): void;
  size(): { columns: number; rows: number };
}

interface TableOptions {
  terminal: Terminal;
  paint: Paint;
  now: () => number; // ms since the epoch
}

/** How often the table is redrawn, ms. */
const TICK_MS = 100;

const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';

/** A live table, redrawn in place. Settled deployments and notes are printed above it and stay there. */
export function createTable({ terminal, paint, now }: TableOptions): Renderer {
  let view: View = emptyView;
  let drawn: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const surface = (): Surface => {
    const { columns, rows } = terminal.size();
    // The last column stays free: some terminals wrap when it is written to.
    return { columns: Math.max(20, columns - 1), rows, now: now(), paint };
  };

  /** Moves the cursor to the start of the last table, also if the window is narrower now and its lines wrap. */
  const rewind = (): string => {
    if (drawn.length === 0) return '';
    const { columns } = terminal.size();
    const lines = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(visibleWidth(line) / columns)), 0);
    return `\u001b[${lines}A\r\u001b[J`;
  };

  const draw = (next: string[]): void => {
    if (!terminal.live) return;
    if (next.length === drawn.length && next.every((line, i) => line === drawn[i])) return;
    const hide = timer === undefined ? HIDE : '';
    terminal.write(hide + rewind() + next.map((line) => `${line}\n`).join(''));
    drawn = next;
    timer ??= setInterval(() => draw(tableLines(view, surface())), TICK_MS);
  };

  /** Prints the final table, with `below` under it. It is not redrawn any more. */
  const keep = (below: string[]): void => {
    if (view.started || view.uploads.size > 0) {
      // All lines are printed, because the window can be scrolled.
      const last = [...tableLines(view, { ...surface(), rows: Number.POSITIVE_INFINITY }), ...below];
      terminal.write(rewind() + last.map((line) => `${line}\n`).join(''));
    }
    drawn = [];
    view = emptyView;
    stopTimer();
  };

  const stopTimer = (): void => {
    if (timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
    terminal.write(SHOW);
  };

  /** The line that an event prints above the table. */
  const lineAbove = (event: PublisherEvent): string | undefined => {
    if (event.type === 'wave' || event.type === 'waiting') return waveText(event);
    if (event.type === 'check') {
      const text = checkLines(event).join('\n');
      return event.state === 'failed' ? paint('bad', text) : text;
    }
    if (event.type !== 'note') return undefined;
    return `${event.level === 'warning' ? paint('warn', 'warning: ') : ''}${oneLine(event.text)}`;
  };

  return {
    event(event: PublisherEvent) {
      // The answer of the command shows the pause.
      if (closed || event.type === 'pause') return;
      const line = lineAbove(event);
      if (line !== undefined) {
        terminal.write(`${rewind()}${line}\n`);
        drawn = [];
        if (timer !== undefined) draw(tableLines(view, surface()));
        return;
      }
      if (event.type === 'settled' && event.afterRollback) {
        keep([]);
        terminal.write(`${outcomeLines({ ...emptyView, settled: event }, surface()).at(-1)}\n`);
        return;
      }
      if (event.type === 'started' && view.started) keep([]);
      const first = view.started === undefined && view.uploads.size === 0;
      view = applyEvent(view, event);
      if (event.type === 'settled') keep(outcomeLines(view, surface()));
      // Other events are drawn at the next tick, so that a thousand reports in a second cause only ten redraws.
      else if (first) draw(tableLines(view, surface()));
    },
    close() {
      if (closed) return;
      closed = true;
      keep([]);
    },
  };
}

function visibleWidth(line: string): number {
  return width(line.replace(/\u001b\[[0-9;]*m/g, ''));
}
