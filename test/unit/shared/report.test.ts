import { describe, expect, test } from 'vitest';
import { DETAIL_LIMIT } from '../../../shared/clean-text.ts';
import { type Report, reply, report } from '../../../shared/report.ts';
import { ENDINGS, isEnding, PROGRESS_STATES } from '../../../shared/states.ts';

const REPORT: Report = {
  kind: 'report',
  v: 1,
  deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNM',
  env: 'dev',
  service: 'payments',
  instance: 'i-0a',
  sequence: 7,
  n: 3,
  at: '2026-01-31T08:14:02.113Z',
  state: 'checking',
  version: '1.4.2',
  timings: { prepare: 12, start: 0.5 },
};

test('an ending is one, and a state on the way is none', () => {
  expect(ENDINGS.every(isEnding)).toBe(true);
  expect(PROGRESS_STATES.some(isEnding)).toBe(false);
});

describe('a report', () => {
  test('loses the fields that nobody knows, also those of its error', () => {
    const error = { code: 'X', message: 'it broke' };
    const more = {
      mood: [[[]]],
      error: { ...error, mood: 'good' },
      local: { action: 'deploy', by: 'me', x: 1 },
    };
    const local = { action: 'deploy', by: 'me' };
    expect(report.parse({ ...REPORT, ...more })).toEqual({ ...REPORT, error, local });
  });

  test('keeps the spans that this version knows, so that a later agent may have others', () => {
    const spans = { download: 12.5, sync: 0 };
    expect(report.parse({ ...REPORT, spans: { ...spans, reticulate: 1 } }).spans).toEqual(spans);
  });

  test('of a first deploy says that nothing ran before', () => {
    expect(report.parse({ ...REPORT, previous: null })).toMatchObject({ previous: null });
  });

  test.each<[string, object]>([
    ['in an unknown state', { state: 'done' }],
    ['of an unknown step', { step: 'reticulate' }],
    ['with time spent in an unknown step', { timings: { reticulate: 1 } }],
    ['with negative time', { timings: { prepare: -1 } }],
    ['with a negative span', { spans: { download: -1 } }],
    ['numbered below 0', { n: -1 }],
    ['of an instance that is a path', { instance: '../i' }],
    ['whose note is a novel', { note: 'x'.repeat(513) }],
    [
      'whose detail is endless',
      { error: { code: 'X', message: '', detail: 'x'.repeat(2 * DETAIL_LIMIT + 1) } },
    ],
    ['whose error has no code', { error: { message: 'it broke' } }],
    ['at no time', { at: 'noon' }],
  ])('%s is refused', (_, wrong) => {
    expect(report.safeParse({ ...REPORT, ...wrong }).success).toBe(false);
  });

  test.each([...PROGRESS_STATES, ...ENDINGS])('in the state %s is accepted', (state) => {
    expect(report.safeParse({ ...REPORT, state }).success).toBe(true);
  });
});

describe('what arrives on a reply queue', () => {
  const ANSWER = {
    kind: 'roll-call',
    v: 1,
    rollCall: REPORT.deployment,
    env: 'dev',
    instance: 'i-0a',
    agentVersion: '0.1.0',
    at: REPORT.at,
    services: [],
  };

  test('is a report or an answer to a roll call', () => {
    expect(reply.parse(REPORT)).toEqual(REPORT);
    expect(reply.parse(ANSWER)).toEqual(ANSWER);
  });

  test.each<[string, unknown]>([
    ['of an unknown kind', { ...REPORT, kind: 'rumour' }],
    ['without a kind', { ...REPORT, kind: undefined }],
    ['of 257 services', { ...ANSWER, services: Array.from({ length: 257 }, () => ({})) }],
    ['that is null', null],
  ])('and nothing %s', (_, value) => {
    expect(reply.safeParse(value).success).toBe(false);
  });
});

describe('the texts of a parsed reply', () => {
  const hostile = 'a\u001b[2Jb\r\nc\td\u202ee\u0000\u009b31m';

  test('of a report are cleaned: one line each, the log tail with its lines', () => {
    const error = { code: hostile, message: hostile, detail: hostile };
    const local = { action: 'deploy', by: hostile };
    const parsed = reply.parse({ ...REPORT, zone: hostile, note: hostile, local, error });
    expect(parsed).toMatchObject({
      ...{ zone: 'ab c de', note: 'ab c de', local: { by: 'ab c de' } },
      error: { code: 'ab c de', message: 'ab c de', detail: 'ab\nc\tde' },
    });
  });

  test('of a roll call are cleaned', () => {
    const about = { v: 1, env: 'dev', instance: 'i-0a', zone: hostile, agentVersion: hostile, at: REPORT.at };
    const service = { ...about, service: 'payments', version: null, sequence: 0, pinned: false };
    const answer = { kind: 'roll-call', ...about, rollCall: REPORT.deployment, services: [service] };
    const clean = { zone: 'ab c de', agentVersion: 'ab c de' };
    expect(reply.parse(answer)).toMatchObject({ ...clean, services: [clean] });
  });
});
