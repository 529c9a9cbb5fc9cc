import { describe, expect, it } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { outcomeLines, type Surface, tableLines } from '../../../../publisher/render/deployment-table.ts';
import { applyEvent, emptyView } from '../../../../publisher/render/deployment-view.ts';
import { coloured, plain, width } from '../../../../publisher/render/text.ts';
import {
  FLEET,
  HALFWAY,
  ID,
  instance,
  reported,
  START,
  settled,
  started,
} from '../../../support/publisher/render-samples.ts';

const view = (events: readonly PublisherEvent[]) => events.reduce(applyEvent, emptyView);
const surface = (change: Partial<Surface> = {}): Surface => ({
  columns: 100,
  rows: 40,
  now: START + 5000,
  paint: plain,
  ...change,
});

/** So many instances that failed alike; each message has its own duration. */
function alike(count: number): PublisherEvent[] {
  const ids = Array.from({ length: count }, (_, i) => `i-${String(i).padStart(3, '0')}`);
  const events = ids.map((id, i) => {
    const message = `http 503 (${i % 3} of 3) after ${60 + i} s`;
    const error = { code: 'CHECK_FAILED', message, detail: `ERROR no database for ${id}` };
    return reported(1000, id, { state: 'rolled-back', error });
  });
  return [started(ids.map((id) => instance(id, 'a'))), ...events];
}

describe('the table of a deployment', () => {
  it('has a line per instance: zone, state, versions, progress or reason', () => {
    expect(tableLines(view(HALFWAY), surface({ columns: 120 }))).toEqual([
      `payments 1.4.1 → 1.4.2 in dev · ${ID} · jenkins payments#4711`,
      '',
      '  i-0990aabb  eu-west-1c  ↺ rolled-back  1.4.2 → 1.4.1   CHECK_FAILED: GET /health answered 500 for 60 s',
      '  i-0a1b2c3d  eu-west-1a  ✓ succeeded    1.4.1 → 1.4.2   4.2 s   prepare 1.1 s · start 500 ms · check 2.6 s',
      '  i-0d3e4f5a  eu-west-1b  ● checking     1.4.1 → 1.4.2   http 503, 0 of 3   3.1 s',
      '',
      '  1 succeeded · 1 checking · 1 rolled-back                              0:05',
    ]);
  });

  it('breaks a header that is wider than the window between its parts', () => {
    const long = view([started(FLEET, { reason: 'the fix for the fix' })]);
    expect(tableLines(long, surface({ columns: 79 })).slice(0, 3)).toEqual([
      `payments 1.4.1 → 1.4.2 in dev · ${ID}`,
      '  jenkins payments#4711 · the fix for the fix',
      '',
    ]);
  });

  it('is never wider than the window, and marks a cut with an ellipsis', () => {
    for (const columns of [20, 40, 60, 79]) {
      const lines = tableLines(view(HALFWAY), surface({ columns }));
      expect(Math.max(...lines.map(width))).toBeLessThanOrEqual(columns);
      expect(lines.find((line) => line.startsWith('  i-0990aabb'))).toMatch(/…$/);
    }
  });

  it('is coloured only where colours are wanted', () => {
    expect(tableLines(view(HALFWAY), surface()).join('')).not.toContain('\u001b');
    const colours = tableLines(view(HALFWAY), surface({ paint: coloured }));
    expect(colours[3]).toContain('\u001b[32m✓ succeeded\u001b[0m');
    expect(colours[2]).toContain('\u001b[33m↺ rolled-back\u001b[0m');
    expect(colours.map((line) => line.replace(/\u001b\[\d+m/g, ''))).toEqual(
      tableLines(view(HALFWAY), surface()),
    );
  });

  it('shows an instance without a report as waiting, and as silent once it is settled', () => {
    const waiting = view([started(FLEET.slice(0, 1))]);
    expect(tableLines(waiting, surface())[2]).toBe('  i-0a1b2c3d  eu-west-1a  ○ waiting  1.4.1 → 1.4.2');
    const silent = [started(FLEET.slice(0, 1)), settled({ silent: ['i-0a1b2c3d'], counts: { silent: 1 } })];
    expect(tableLines(view(silent), surface())[2]).toBe(
      '  i-0a1b2c3d  eu-west-1a  ? silent  1.4.1 → 1.4.2   never answered',
    );
  });

  it('adds an instance that was not expected', () => {
    const lines = tableLines(view([started([]), reported(100, 'i-new', { zone: 'eu-west-1d' })]), surface());
    expect(lines.slice(2)).toEqual([
      '  i-new  eu-west-1d  ● accepted  1.4.1 → 1.4.2   4.9 s',
      '',
      `  1 accepted${' '.repeat(60)}0:05`,
    ]);
    expect(tableLines(view([started([])]), surface())[2]).toMatch(/^ {2}no instance has answered yet +0:05$/);
  });

  it('shows the versions of each case: unchanged, kept, rolling back, first deployment', () => {
    const row = (change: Parameters<typeof reported>[2]) =>
      tableLines(view([started([]), reported(5000, 'i-1', change)]), surface())[2];
    expect(row({ state: 'succeeded', changed: false, previous: '1.4.2' })).toBe(
      '  i-1  ✓ succeeded  1.4.2   already running',
    );
    expect(row({ state: 'failed', error: { code: 'NO_SPACE', message: 'no room' } })).toBe(
      '  i-1  ✗ failed  1.4.1   NO_SPACE: no room',
    );
    expect(row({ state: 'starting', step: 'rollback' })).toBe(
      '  i-1  ↺ starting (rolling back)  1.4.2 → 1.4.1',
    );
    expect(row({ state: 'rolled-back', previous: null })).toBe('  i-1  ↺ rolled-back  1.4.2 → none');
    expect(row({ state: 'preparing', previous: null })).toBe('  i-1  ● preparing  none → 1.4.2');
  });

  it('folds the finished instances of a fleet taller than the window, and keeps the failed in sight', () => {
    const fleet = Array.from({ length: 300 }, (_, i) => instance(`i-${String(i).padStart(3, '0')}`, 'a'));
    const events: PublisherEvent[] = [started(fleet)];
    for (const { instance: id } of fleet.slice(0, 290))
      events.push(reported(1000, id, { state: 'succeeded' }));
    events.push(reported(900, 'i-295', { state: 'checking' }));
    const error = { code: 'START_FAILED', message: 'exit 1' };
    for (const id of ['i-017', 'i-298']) events.push(reported(2000, id, { state: 'broken', error }));
    const lines = tableLines(view(events), surface({ rows: 12 }));
    expect(lines).toHaveLength(11);
    expect(lines.slice(2)).toEqual([
      '  i-017  a  ✗ broken    1.4.1 → 1.4.2   START_FAILED: exit 1',
      '  i-290  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-291  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-292  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-295  a  ● checking  1.4.1 → 1.4.2   4.1 s',
      '  i-298  a  ✗ broken    1.4.1 → 1.4.2   START_FAILED, same as i-017',
      '  … 294 more: 289 succeeded · 5 waiting',
      '',
      `  289 succeeded · 8 waiting · 1 checking · 2 broken${' '.repeat(21)}0:05`,
    ]);
  });

  it('of 40 instances that failed alike has the reason once, and refers to it', () => {
    const lines = tableLines(view(alike(40)), surface({ columns: 120, rows: 60 }));
    expect(lines.slice(2, 4)).toEqual([
      '  i-000  a  ↺ rolled-back  1.4.2 → 1.4.1   CHECK_FAILED: http 503 (0 of 3) after 60 s',
      '  i-001  a  ↺ rolled-back  1.4.2 → 1.4.1   CHECK_FAILED, same as i-000',
    ]);
    expect(lines.filter((line) => line.includes('http 503'))).toHaveLength(1);
  });

  it('shares a line between those that failed alike where they alone are taller than the window', () => {
    const other = { code: 'START_FAILED', message: 'exit 1' };
    const events = [...alike(300), reported(2000, 'i-150', { state: 'broken', error: other })];
    expect(tableLines(view(events), surface({ rows: 12, columns: 120 })).slice(2)).toEqual([
      '  i-000 and 298 more     ↺ rolled-back  1.4.2 → 1.4.1   CHECK_FAILED: http 503 (0 of 3) after 60 s',
      '  i-150               a  ✗ broken       1.4.1 → 1.4.2   START_FAILED: exit 1',
      '',
      `  299 rolled-back · 1 broken${' '.repeat(44)}0:05`,
    ]);
  });

  it('shows an upload as a bar', () => {
    const upload = { type: 'progress', at: START, what: 'payments.jar', total: 24_000_000 } as const;
    expect(tableLines(view([{ ...upload, done: 12_000_000 }]), surface())).toEqual([
      '  payments.jar  ████████████░░░░░░░░░░░░   50 %  12.0 MB of 24.0 MB',
    ]);
    expect(tableLines(view([{ ...upload, done: 24_000_000 }]), surface())).toEqual([
      '  payments.jar  ████████████████████████  100 %  24.0 MB of 24.0 MB',
    ]);
  });
});

describe('below the table of a settled deployment', () => {
  it('is each reason in full, the end of the log made safe, and the outcome', () => {
    expect(outcomeLines(view([...HALFWAY, settled()]), surface())).toEqual([
      '',
      '  i-0990aabb rolled-back: CHECK_FAILED: GET /health answered 500 for 60 s',
      '    | ERROR no database',
      '    |     at Main.java:7',
      '',
      'failed: 1 of 2 rolled back; the desired state stays 1.4.1 (4.9 s)',
    ]);
  });

  it('a long log is cut to its last lines, with the command that shows all', () => {
    const detail = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
    const error = { code: 'CHECK_FAILED', message: 'no', detail };
    const lines = outcomeLines(
      view([started([]), reported(1, 'i-1', { state: 'failed', error }), settled()]),
      surface(),
    );
    expect(lines.slice(2, 4)).toEqual([
      `    | … 10 earlier lines: trigger-deploy show ${ID} --instance i-1 --env dev`,
      '    | line 10',
    ]);
    expect(lines).toContain('    | line 29');
  });
});

it('below the table 40 instances that failed alike are one failure, with one log and how to see another', () => {
  expect(outcomeLines(view([...alike(40), settled()]), surface({ columns: 79 })).slice(0, -2)).toEqual([
    '',
    '  40 instances rolled-back: CHECK_FAILED: http 503 (0 of 3) after 60 s',
    '    i-000, i-001, i-002 and 37 more',
    '    log of i-000:',
    '    | ERROR no database for i-000',
    `    → the log of another instance: trigger-deploy show ${ID} --instance i-001 --env dev`,
  ]);
});

describe('the texts of other machines', () => {
  it('cannot move the cursor, break a line or turn the reading direction', () => {
    const evil = 'a\u001b[2Jb\rc\nd\u202ee\u0000\u009b31m';
    const error = { code: 'CHECK_FAILED', message: evil, detail: evil };
    const events = [
      started([], { issuedBy: evil, reason: evil }),
      reported(1, 'i-1', { zone: evil, state: 'failed', error }),
      reported(2, 'i-2', { state: 'checking', note: evil }),
      settled({ text: evil }),
    ];
    const lines = [...tableLines(view(events), surface()), ...outcomeLines(view(events), surface())];
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});
