import { describe, expect, it } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { epilogue, frame, type Surface } from '../../../../publisher/render/deployment-table.ts';
import { after, emptyView } from '../../../../publisher/render/deployment-view.ts';
import { coloured, plain, width } from '../../../../publisher/render/text.ts';
import {
  FLEET,
  HALFWAY,
  ID,
  instance,
  START,
  said,
  settled,
  started,
} from '../../../support/publisher/render-samples.ts';

const view = (events: readonly PublisherEvent[]) => events.reduce(after, emptyView);
const surface = (change: Partial<Surface> = {}): Surface => ({
  columns: 100,
  rows: 40,
  now: START + 5000,
  paint: plain,
  ...change,
});

describe('the table', () => {
  it('shows each instance with its zone, state, versions, and what goes on or went wrong', () => {
    expect(frame(view(HALFWAY), surface({ columns: 120 }))).toEqual([
      `payments 1.4.1 → 1.4.2 in dev · ${ID} · jenkins payments#4711`,
      '',
      '  i-0990aabb  eu-west-1c  ↺ rolled-back  1.4.2 → 1.4.1   CHECK_FAILED: GET /health answered 500 for 60 s',
      '  i-0a1b2c3d  eu-west-1a  ✓ succeeded    1.4.1 → 1.4.2   4.2 s   prepare 1.1 s · start 500 ms · check 2.6 s',
      '  i-0d3e4f5a  eu-west-1b  ● checking     1.4.1 → 1.4.2   http 503, 0 of 3   3.1 s',
      '',
      '  1 succeeded · 1 checking · 1 rolled-back                              0:05',
    ]);
  });

  it('breaks a header that is too long for the window between its parts', () => {
    const long = view([started(FLEET, { reason: 'the fix for the fix' })]);
    expect(frame(long, surface({ columns: 79 })).slice(0, 3)).toEqual([
      `payments 1.4.1 → 1.4.2 in dev · ${ID}`,
      '  jenkins payments#4711 · the fix for the fix',
      '',
    ]);
  });

  it('never is wider than the window, and says that it cut', () => {
    for (const columns of [20, 40, 60, 79]) {
      const lines = frame(view(HALFWAY), surface({ columns }));
      expect(Math.max(...lines.map(width))).toBeLessThanOrEqual(columns);
      expect(lines.find((line) => line.startsWith('  i-0990aabb'))).toMatch(/…$/);
    }
  });

  it('has no colours but where they are wanted', () => {
    expect(frame(view(HALFWAY), surface()).join('')).not.toContain('\u001b');
    const colours = frame(view(HALFWAY), surface({ paint: coloured }));
    expect(colours[3]).toContain('\u001b[32m✓ succeeded\u001b[0m');
    expect(colours[2]).toContain('\u001b[33m↺ rolled-back\u001b[0m');
    expect(colours.map((line) => line.replace(/\u001b\[\d+m/g, ''))).toEqual(frame(view(HALFWAY), surface()));
  });

  it('shows who has not answered yet, and in the end who never did', () => {
    const waiting = view([started(FLEET.slice(0, 1))]);
    expect(frame(waiting, surface())[2]).toBe('  i-0a1b2c3d  eu-west-1a  ○ waiting  1.4.1 → 1.4.2');
    const silent = [started(FLEET.slice(0, 1)), settled({ silent: ['i-0a1b2c3d'], counts: { silent: 1 } })];
    expect(frame(view(silent), surface())[2]).toBe(
      '  i-0a1b2c3d  eu-west-1a  ? silent  1.4.1 → 1.4.2   never answered',
    );
  });

  it('adopts who was not expected', () => {
    const lines = frame(view([started([]), said(100, 'i-new', { zone: 'eu-west-1d' })]), surface());
    expect(lines.slice(2)).toEqual([
      '  i-new  eu-west-1d  ● accepted  1.4.1 → 1.4.2   4.9 s',
      '',
      `  1 accepted${' '.repeat(60)}0:05`,
    ]);
    expect(frame(view([started([])]), surface())[2]).toMatch(/^ {2}nobody has answered yet +0:05$/);
  });

  it('shows versions as they are: unchanged, kept, going back, first', () => {
    const row = (change: Parameters<typeof said>[2]) =>
      frame(view([started([]), said(5000, 'i-1', change)]), surface())[2];
    expect(row({ state: 'succeeded', changed: false, previous: '1.4.2' })).toBe(
      '  i-1  ✓ succeeded  1.4.2   ran already',
    );
    expect(row({ state: 'failed', error: { code: 'NO_SPACE', message: 'no room' } })).toBe(
      '  i-1  ✗ failed  1.4.1   NO_SPACE: no room',
    );
    expect(row({ state: 'starting', step: 'rollback' })).toBe('  i-1  ↺ starting (back)  1.4.2 → 1.4.1');
    expect(row({ state: 'rolled-back', previous: null })).toBe('  i-1  ↺ rolled-back  1.4.2 → none');
    expect(row({ state: 'preparing', previous: null })).toBe('  i-1  ● preparing  none → 1.4.2');
  });

  it('folds the finished of a fleet too tall for the window, and keeps the failing in sight', () => {
    const fleet = Array.from({ length: 300 }, (_, i) => instance(`i-${String(i).padStart(3, '0')}`, 'a'));
    const events: PublisherEvent[] = [started(fleet)];
    for (const { instance: id } of fleet.slice(0, 290)) events.push(said(1000, id, { state: 'succeeded' }));
    events.push(said(900, 'i-295', { state: 'checking' }));
    const error = { code: 'START_FAILED', message: 'exit 1' };
    for (const id of ['i-017', 'i-298']) events.push(said(2000, id, { state: 'broken', error }));
    const lines = frame(view(events), surface({ rows: 12 }));
    expect(lines).toHaveLength(11);
    expect(lines.slice(2)).toEqual([
      '  i-017  a  ✗ broken    1.4.1 → 1.4.2   START_FAILED: exit 1',
      '  i-290  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-291  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-292  a  ○ waiting   1.4.1 → 1.4.2',
      '  i-295  a  ● checking  1.4.1 → 1.4.2   4.1 s',
      '  i-298  a  ✗ broken    1.4.1 → 1.4.2   START_FAILED: exit 1',
      '  … 294 more: 289 succeeded · 5 waiting',
      '',
      `  289 succeeded · 8 waiting · 1 checking · 2 broken${' '.repeat(21)}0:05`,
    ]);
  });

  it('shows an upload as a bar', () => {
    const upload = { type: 'progress', at: START, what: 'payments.jar', total: 24_000_000 } as const;
    expect(frame(view([{ ...upload, done: 12_000_000 }]), surface())).toEqual([
      '  payments.jar  ████████████░░░░░░░░░░░░   50 %  12.0 MB of 24.0 MB',
    ]);
    expect(frame(view([{ ...upload, done: 24_000_000 }]), surface())).toEqual([
      '  payments.jar  ████████████████████████  100 %  24.0 MB of 24.0 MB',
    ]);
  });
});

describe('after the table', () => {
  it('each reason stands in full, with the end of the log made safe, and the outcome', () => {
    expect(epilogue(view([...HALFWAY, settled()]), surface())).toEqual([
      '',
      '  i-0990aabb rolled-back: CHECK_FAILED: GET /health answered 500 for 60 s',
      '    | ERROR no database',
      '    |     at Main.java:7',
      '',
      'failed: 1 of 2 rolled back; the desired state stays 1.4.1 (4.9 s)',
    ]);
  });

  it('a long log is cut to its last lines, and says where the rest is', () => {
    const detail = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
    const error = { code: 'CHECK_FAILED', message: 'no', detail };
    const lines = epilogue(
      view([started([]), said(1, 'i-1', { state: 'failed', error }), settled()]),
      surface(),
    );
    expect(lines.slice(2, 4)).toEqual([
      `    | … 10 lines before: trigger-deploy show ${ID}`,
      '    | line 10',
    ]);
    expect(lines).toContain('    | line 29');
  });
});

describe('texts of other machines', () => {
  it('cannot move the cursor, break a line or turn the reading direction', () => {
    const evil = 'a\u001b[2Jb\rc\nd\u202ee\u0000\u009b31m';
    const error = { code: 'CHECK_FAILED', message: evil, detail: evil };
    const events = [
      started([], { issuedBy: evil, reason: evil }),
      said(1, 'i-1', { zone: evil, state: 'failed', error }),
      said(2, 'i-2', { state: 'checking', note: evil }),
      settled({ text: evil }),
    ];
    const lines = [...frame(view(events), surface()), ...epilogue(view(events), surface())];
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});
