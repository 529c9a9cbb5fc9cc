import { describe, expect, it } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { createJson } from '../../../../publisher/render/json.ts';
import { createLines } from '../../../../publisher/render/lines.ts';
import {
  FLEET,
  HALFWAY,
  ID,
  reported,
  START,
  settled,
  started,
} from '../../../support/publisher/render-samples.ts';

function lines(events: readonly PublisherEvent[]): string[] {
  let text = '';
  const renderer = createLines((piece) => {
    text += piece;
  });
  for (const event of events) renderer.event(event);
  renderer.close();
  return text.split('\n').slice(0, -1);
}

describe('lines', () => {
  it('are one per event, time first; the log of a failure comes before the outcome', () => {
    const checking = reported(2113, 'i-0a1b2c3d', { state: 'checking', note: 'http 200 3/3' });
    const events = [started(FLEET), reported(1703, 'i-0a1b2c3d', { state: 'starting' }), checking];
    expect(lines([...events, ...HALFWAY.slice(3), settled()])).toEqual([
      `08:14:00.000 payments started deploy 1.4.1 → 1.4.2 in dev ${ID} sequence 8, by jenkins payments#4711, 3 expected`,
      '08:14:01.703 payments i-0a1b2c3d starting 1.4.2 +1.70s',
      '08:14:02.113 payments i-0a1b2c3d checking 1.4.2 http 200 3/3 +0.41s',
      '08:14:04.900 payments i-0990aabb rolled-back 1.4.2 back to 1.4.1 CHECK_FAILED: GET /health answered 500 for 60 s prepare=1.00s check=3.00s rollback=0.50s +4.90s',
      '08:14:05.000 payments failure on i-0990aabb: CHECK_FAILED: GET /health answered 500 for 60 s',
      '  | ERROR no database',
      '  |     at Main.java:7',
      '08:14:05.000 payments settled failed: 1 of 2 rolled back; the desired state stays 1.4.1 (1 succeeded, 1 rolled-back, 4.90s)',
    ]);
  });

  it('have the versions and the time of each step at an ending', () => {
    const timings = { prepare: 1100, switch: 12, check: 2588 };
    expect(
      lines([
        reported(0, 'i-1', { state: 'succeeded', timings }),
        reported(0, 'i-2', { state: 'succeeded', changed: false, previous: '1.4.2' }),
        reported(0, 'i-3', { state: 'rolled-back', previous: null }),
        reported(0, 'i-4', { state: 'failed', changed: false, previous: '1.4.2' }),
      ]),
    ).toEqual([
      '08:14:00.000 payments i-1 succeeded 1.4.2 after 1.4.1 prepare=1.10s switch=0.01s check=2.59s',
      '08:14:00.000 payments i-2 succeeded 1.4.2 already running',
      '08:14:00.000 payments i-3 rolled-back 1.4.2 back to no version',
      '08:14:00.000 payments i-4 failed 1.4.2 after 1.4.2',
    ]);
  });

  it('say that an instance rolls back, and to which version', () => {
    const back = { step: 'rollback', note: 'http 200, 1 of 3' } as const;
    expect(
      lines([
        reported(0, 'i-1', { state: 'checking', ...back }),
        reported(0, 'i-2', { state: 'switching', step: 'rollback', previous: null }),
      ]),
    ).toEqual([
      '08:14:00.000 payments i-1 checking 1.4.2 rolling back to 1.4.1 http 200, 1 of 3',
      '08:14:00.000 payments i-2 switching 1.4.2 rolling back to no version',
    ]);
  });

  it('have a line for each silent instance, and notes', () => {
    const note = { type: 'note', at: START, level: 'warning', text: 'a report was dropped' } as const;
    const silent = settled({
      outcome: 'timed-out',
      counts: { silent: 1 },
      silent: ['i-9'],
      text: 'i-9 is silent',
    });
    expect(lines([started([]), note, { ...note, level: 'info' }, silent]).slice(1)).toEqual([
      '08:14:00.000 warning: a report was dropped',
      '08:14:00.000 a report was dropped',
      '08:14:05.000 payments i-9 silent, never answered',
      '08:14:05.000 payments settled timed-out: i-9 is silent (1 silent, 4.90s) silent: i-9',
    ]);
  });

  it('say above a time-out which setting waits longer', () => {
    const late = settled({ outcome: 'timed-out', text: 'i-1 has not finished', hint: 'a longer --timeout' });
    expect(lines([started([]), late]).slice(-2)).toEqual([
      '  → a longer --timeout',
      expect.stringContaining('settled timed-out: i-1 has not finished'),
    ]);
  });

  it('have the log of instances that failed alike once, and a line for each of them', () => {
    const ids = Array.from({ length: 40 }, (_, i) => `i-${String(i).padStart(2, '0')}`);
    const failures = ids.map((id) => {
      const error = { code: 'START_FAILED', message: `${id}: exit 1`, detail: `panic on ${id}\nat main` };
      return reported(1000, id, { state: 'rolled-back', error });
    });
    const printed = lines([started([]), ...failures, settled({ counts: { 'rolled-back': 40 } })]);
    expect(printed.slice(1, 41)).toEqual(
      ids.map(
        (id) =>
          `08:14:01.000 payments ${id} rolled-back 1.4.2 back to 1.4.1 START_FAILED: ${id}: exit 1 +1.00s`,
      ),
    );
    expect(printed.slice(41)).toEqual([
      '08:14:05.000 payments failure on 40 instances (i-00, i-01, i-02 and 37 more): START_FAILED: i-00: exit 1',
      '  log of i-00:',
      '  | panic on i-00',
      '  | at main',
      `  → the log of another instance: trigger-deploy show ${ID} --instance i-01 --env dev`,
      '08:14:05.000 payments settled failed: 1 of 2 rolled back; the desired state stays 1.4.1 (40 rolled-back, 4.90s)',
    ]);
  });

  it('have the log of a failure also where the command stops before the outcome', () => {
    expect(lines(HALFWAY).slice(-3)).toEqual([
      '08:14:04.900 payments failure on i-0990aabb: CHECK_FAILED: GET /health answered 500 for 60 s',
      '  | ERROR no database',
      '  |     at Main.java:7',
    ]);
  });

  it('shorten a long list of silent instances in the outcome, not in their own lines', () => {
    const silent = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5', 'i-6'];
    const printed = lines([started([]), settled({ silent, counts: { silent: 6 } })]);
    expect(printed.slice(1, 7)).toEqual(
      silent.map((id) => `08:14:05.000 payments ${id} silent, never answered`),
    );
    expect(printed[7]).toMatch(/ silent: i-1, i-2, i-3 and 3 more$/);
  });

  it('report an upload at every tenth', () => {
    const at = (done: number): PublisherEvent => ({
      ...{ type: 'progress', at: START, what: 'payments.jar' },
      ...{ done, total: 1000 },
    });
    expect(lines([0, 50, 99, 100, 150, 390, 1000, 1000].map(at))).toEqual([
      '08:14:00.000 upload payments.jar 10% 100 B of 1.0 kB',
      '08:14:00.000 upload payments.jar 30% 390 B of 1.0 kB',
      '08:14:00.000 upload payments.jar 100% 1.0 kB of 1.0 kB',
    ]);
  });
});

describe('json', () => {
  it('is one object per line, with ISO times and texts made safe', () => {
    let text = '';
    const renderer = createJson((piece) => {
      text += piece;
    });
    for (const event of [...HALFWAY, settled()]) renderer.event(event);
    const objects = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(objects.map((one) => one.type)).toEqual(['started', 'report', 'report', 'report', 'settled']);
    expect(objects[0]).toMatchObject({
      time: new Date(START).toISOString(),
      deployment: ID,
      service: 'payments',
    });
    expect(objects[3].report.error.detail).toBe('ERROR no database\n\tat Main.java:7\n');
    expect(objects[4]).toMatchObject({ outcome: 'failed', exitCode: 1, silent: [] });
  });
});
