import { describe, expect, test } from 'vitest';
import { textOf } from '../../../shared/log-text.ts';

const ID = '01JDB2Z3Y4X5W6V7T8S9R0QPNM';
const about = {
  level: 'info',
  time: '2026-01-31T08:14:02.113Z',
  program: 'trigger-deploy-agent',
  instance: 'i-1',
  env: 'dev',
};
const change = { service: 'payments', deployment: ID, version: '1.4.2', previous: '1.4.1', sequence: 7 };
const text = (entry: object) => textOf(`${JSON.stringify({ ...about, ...entry })}\n`, false);

describe('an entry as text', () => {
  test('of a state says which service, change and deployment, and how long it has been under way', () => {
    const entry = { ...change, state: 'checking', direction: 'forward', sinceMs: 413, msg: 'checking' };
    expect(text(entry)).toBe(`payments 1.4.1 → 1.4.2 ${ID} checking (+413 ms)\n`);
  });

  test('says what the last step resulted in', () => {
    const entry = {
      ...change,
      state: 'watching',
      direction: 'forward',
      note: 'http 200, 3 of 3',
      sinceMs: 2500,
      msg: 'watching',
    };
    expect(text(entry)).toBe(
      `payments 1.4.1 → 1.4.2 ${ID} watching (previous step: http 200, 3 of 3) (+2.5 s)\n`,
    );
  });

  test('of an ending says how long all and each step took', () => {
    const entry = {
      ...change,
      ms: 4200,
      timings: { prepare: 1200, drain: 0, start: 3000 },
      msg: 'succeeded',
    };
    expect(text(entry)).toBe(
      `payments 1.4.1 → 1.4.2 ${ID} succeeded in 4.2 s (prepare 1.2 s, start 3.0 s)\n`,
    );
  });

  test('of a rollback names the version it restores, and the reason', () => {
    const reason = { code: 'CHECK_FAILED', message: 'GET /health answered 500' };
    const entry = { ...change, level: 'warn', ms: 900, code: reason.code, reason, msg: 'rolled-back' };
    expect(text(entry)).toBe(
      `payments 1.4.2 → back to 1.4.1 ${ID} rolled-back: CHECK_FAILED: GET /health answered 500 in 900 ms\n`,
    );
  });

  test('of a first deploy has no version before it', () => {
    expect(text({ ...change, previous: null, msg: 'switching' })).toBe(`payments 1.4.2 ${ID} switching\n`);
  });

  test('of an error of ours says what to do and shows the output, without a stack', () => {
    const err = {
      code: 'START_FAILED',
      message: 'payments.service did not start',
      hint: 'systemctl status payments',
      detail: 'no such file\nexit 1\n',
      stack: 'Error: x\n    at y',
    };
    expect(text({ ...change, level: 'warn', err, msg: 'payments.service did not start: rolling back' })).toBe(
      [
        `payments 1.4.1 → 1.4.2 ${ID} payments.service did not start: rolling back [START_FAILED]`,
        '  → systemctl status payments',
        '  | no such file',
        '  | exit 1',
        '',
      ].join('\n'),
    );
  });

  test('of a bug shows its stack', () => {
    const err = { message: 'x is undefined', stack: 'TypeError: x is undefined\n    at worker.ts:1' };
    expect(text({ level: 'error', err, msg: 'the deployment could not continue' })).toMatch(
      /^the deployment could not continue: x is undefined\n {4}TypeError: x is undefined\n {8}at worker\.ts:1\n$/,
    );
  });

  test('keeps whatever else it has', () => {
    expect(text({ services: ['payments'], keys: [], pid: 7, none: null, msg: 'ready' })).toBe(
      'ready (services=["payments"] keys=[] pid=7)\n',
    );
  });

  test('is one line whatever a foreign text contains', () => {
    expect(text({ msg: 'refused: a\n<0>forged \u001b[31mred' })).toBe('refused: a <0>forged red\n');
  });

  test.each([
    ['fatal', '<2>'],
    ['error', '<3>'],
    ['warn', '<4>'],
    ['info', '<6>'],
    ['debug', '<7>'],
  ])('at %s begins each of its lines with %s for journald', (level, mark) => {
    const lines = textOf(JSON.stringify({ ...about, level, hint: 'mend it', msg: 'x' }), true).split('\n');
    expect(lines).toEqual([`${mark}x`, `${mark}  → mend it`, '']);
  });

  test('that is none stays as it is', () => {
    expect(textOf('not JSON\n', true)).toBe('not JSON\n');
  });
});
