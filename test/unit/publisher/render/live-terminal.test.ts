import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTable } from '../../../../publisher/render/live-terminal.ts';
import { plain, width } from '../../../../publisher/render/text.ts';
import {
  FLEET,
  HALFWAY,
  ID,
  reported,
  START,
  settled,
  started,
} from '../../../support/publisher/render-samples.ts';

/**
 * A terminal. It understands the few sequences that the table uses, and wraps a line longer than the window, again at each
 * resize, as terminals do.
 */
class Screen {
  live = true;
  columns = 90;
  rows = 30;
  cursorHidden = false;
  writes = 0;
  raw = '';
  #lines: string[] = [''];
  #y = 0;

  size = () => ({ columns: this.columns, rows: this.rows });
  write = (text: string): void => {
    this.writes += 1;
    this.raw += text;
    for (const [piece] of text.matchAll(/\u001b\[\??\d*[A-Za-z]|[\n\r]|[^\u001b\n\r]+/g)) this.#obey(piece);
  };
  get text(): string[] {
    return this.#lines.slice(0, -1);
  }

  #obey(piece: string): void {
    const up = /^\u001b\[(\d+)A$/.exec(piece)?.[1];
    if (up !== undefined) this.#goUp(Number(up));
    else if (piece === '\u001b[J') this.#lines = [...this.#lines.slice(0, this.#y), ''];
    else if (piece === '\u001b[?25l') this.cursorHidden = true;
    else if (piece === '\u001b[?25h') this.cursorHidden = false;
    else if (piece === '\n') this.#lines[++this.#y] ??= '';
    else if (piece !== '\r') this.#lines[this.#y] = piece;
  }
  #goUp(rows: number): void {
    for (let left = rows; left > 0; ) {
      this.#y -= 1;
      left -= Math.max(1, Math.ceil(width(this.#lines[this.#y] ?? '') / this.columns));
    }
  }
}

let screen: Screen;
let table: ReturnType<typeof createTable>;
beforeEach(() => {
  vi.useFakeTimers({ now: START });
  screen = new Screen();
  table = createTable({ terminal: screen, paint: plain, now: Date.now });
});
afterEach(() => {
  table.close();
  vi.useRealTimers();
});

describe('the live table', () => {
  it('is redrawn in place with a running clock, and restores the cursor', () => {
    table.event(started(FLEET));
    expect(screen.cursorHidden).toBe(true);
    expect(screen.text).toHaveLength(7);
    for (const event of HALFWAY.slice(1)) table.event(event);
    vi.advanceTimersByTime(5000);
    expect(screen.text).toHaveLength(7);
    expect(screen.text[6]).toBe(`  1 succeeded · 1 checking · 1 rolled-back${' '.repeat(30)}0:05`);
    table.close();
    expect(screen.cursorHidden).toBe(false);
    const before = screen.raw;
    vi.advanceTimersByTime(5000);
    table.event(settled());
    expect(screen.raw).toBe(before);
  });

  it('draws twice for a thousand reports in a tenth of a second', () => {
    table.event(started([]));
    for (let i = 0; i < 1000; i += 1) table.event(reported(i, `i-${i}`, {}));
    vi.advanceTimersByTime(100);
    expect(screen.writes).toBe(2);
  });

  it('keeps a settled deployment with the reasons below, and starts a new table for the rollback', () => {
    for (const event of [...HALFWAY, settled()]) table.event(event);
    expect(screen.text.slice(6)).toEqual([
      `  1 succeeded · 1 checking · 1 rolled-back${' '.repeat(30)}0:04`,
      '',
      '  i-0990aabb rolled-back: CHECK_FAILED: GET /health answered 500 for 60 s',
      '    | ERROR no database',
      '    |     at Main.java:7',
      '',
      'failed: 1 of 2 rolled back; the desired state stays 1.4.1 (4.9 s)',
    ]);
    expect(screen.cursorHidden).toBe(false);
    const kept = screen.text;
    table.event(started([], { action: 'rollback', version: '1.4.1', previous: '1.4.2' }));
    vi.advanceTimersByTime(300);
    expect(screen.text.slice(0, kept.length)).toEqual(kept);
    expect(screen.text[kept.length]).toBe(`payments 1.4.2 → 1.4.1 in dev · rollback · ${ID}`);
  });

  it('prints notes above itself', () => {
    table.event(started(FLEET));
    const drawn = screen.text;
    table.event({ type: 'note', at: START, level: 'warning', text: 'a report\nwas dropped' });
    expect(screen.text).toEqual(['warning: a report was dropped', ...drawn]);
  });

  it('leaves no old lines when the window gets narrower or lower', () => {
    screen.columns = 120;
    for (const event of HALFWAY) table.event(event);
    vi.advanceTimersByTime(100);
    screen.rows = 8;
    screen.columns = 70;
    vi.advanceTimersByTime(1000);
    expect(screen.text).toHaveLength(7);
    expect(screen.text[3]).toMatch(/^ {2}i-0990aabb {2}eu-west-1c {2}↺ rolled-back/);
    expect(screen.text[4]).toBe('  … 2 more: 1 succeeded · 1 checking');
    table.event(settled());
    expect(screen.text.filter((line) => line.startsWith('payments '))).toHaveLength(1);
    expect(screen.text.filter((line) => line.includes('i-0a1b2c3d'))).toHaveLength(1);
  });

  it('writes only the final table where the cursor cannot be moved', () => {
    screen.live = false;
    table.event(started(FLEET));
    for (const event of HALFWAY.slice(1)) table.event(event);
    vi.advanceTimersByTime(1000);
    expect(screen.raw).toBe('');
    table.event(settled());
    expect(screen.raw).not.toContain('\u001b');
    expect(screen.text[0]).toContain(ID);
  });
});
