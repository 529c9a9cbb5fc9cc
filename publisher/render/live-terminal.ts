import type { PublisherEvent, Renderer } from '../events.ts';
import { outcomeLines, type Surface, tableLines } from './deployment-table.ts';
import { applyEvent, emptyView, type View } from './deployment-view.ts';
import { oneLine, type Paint, width } from './text.ts';
import { waveText } from './wave-text.ts';

/** The window a table is drawn in. Its size is asked for anew at each drawing: windows are resized. */
interface Terminal {
  /** Whether the cursor can be moved; where not, only what is final is written. */
  live: boolean;
  write(text: string): void;
  size(): { columns: number; rows: number };
}

interface TableOptions {
  terminal: Terminal;
  paint: Paint;
  now: () => number; // ms since the epoch
}

/** How often the clocks move on, ms. */
const TICK_MS = 100;

const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';

/** A live table, redrawn in place; what is settled stays above it, and notes scroll away above it. */
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

  /** Takes the cursor to where the last frame began, also if the window is narrower now and lines wrapped. */
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

  /** Leaves the frame where it is, for good, with `below` under it. */
  const keep = (below: string[]): void => {
    if (view.started || view.uploads.size > 0) {
      // Nothing is folded any more: the window can be scrolled.
      const last = [...tableLines(view, { ...surface(), rows: Number.POSITIVE_INFINITY }), ...below];
      terminal.write(rewind() + last.map((line) => `${line}\n`).join(''));
    }
    drawn = [];
    view = emptyView;
    rest();
  };

  const rest = (): void => {
    if (timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
    terminal.write(SHOW);
  };

  /** What scrolls away above the table, in one line. */
  const spoken = (event: PublisherEvent): string | undefined => {
    if (event.type === 'wave' || event.type === 'waiting') return waveText(event);
    if (event.type !== 'note') return undefined;
    return `${event.level === 'warning' ? paint('warn', 'warning: ') : ''}${oneLine(event.text)}`;
  };

  return {
    event(event: PublisherEvent) {
      // A pause is told by the command's own answer.
      if (closed || event.type === 'pause') return;
      const said = spoken(event);
      if (said !== undefined) {
        terminal.write(`${rewind()}${said}\n`);
        drawn = [];
        if (timer !== undefined) draw(tableLines(view, surface()));
        return;
      }
      if (event.type === 'started' && view.started) keep([]);
      const first = view.started === undefined && view.uploads.size === 0;
      view = applyEvent(view, event);
      if (event.type === 'settled') keep(outcomeLines(view, surface()));
      // The others wait for the next tick: a thousand reports a second are ten drawings.
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
