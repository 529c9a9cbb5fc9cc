import { expect, it } from 'vitest';
import { errorJson, errorLines, exitCodeOf } from '../../../../publisher/cli/error-output.ts';
import { type ErrorCode, TriggerDeployError } from '../../../../shared/errors.ts';

it.each<[ErrorCode, number]>([
  ['USAGE', 2],
  ['CONFIG_INVALID', 2],
  ['KEY_INVALID', 2],
  ['LOCKED', 4],
  ['PAUSED', 4],
  ['CHANGED', 4],
  ['VERSION_EXISTS', 4],
  ['VERSION_NOT_FOUND', 4],
  ['SERVICE_NOT_FOUND', 4],
  ['NOTHING_TO_ROLL_BACK_TO', 4],
  ['AWS_DENIED', 4],
  ['AWS_REFUSED', 4],
  ['FENCED', 4],
  ['TIMEOUT', 3],
  ['AWS_UNREACHABLE', 3],
  ['INTERNAL', 1],
])('%s exits with %i', (code, exit) => {
  expect(exitCodeOf(new TriggerDeployError(code, 'x'))).toBe(exit);
});

it('an error has a line for what happened, its evidence, and a line for what to do', () => {
  const error = new TriggerDeployError('CONFIG_INVALID', 'a.yaml has\n2 mistakes', {
    detail: 'a.yaml:1 home: …\na.yaml:2 regio: \u001b[2Junknown key',
    hint: 'correct them',
  });
  expect(errorLines(error, false)).toEqual([
    'trigger-deploy: a.yaml has 2 mistakes',
    '  a.yaml:1 home: …',
    '  a.yaml:2 regio: unknown key',
    '  → correct them',
  ]);
});

it('--verbose shows every cause once, also in a circular chain', () => {
  const inner = new Error('socket hang up');
  const outer = new Error('request failed', { cause: inner });
  inner.cause = outer;
  const lines = errorLines(new TriggerDeployError('AWS_UNREACHABLE', 'no answer', { cause: outer }), true);
  expect(lines.slice(0, 2)).toEqual(['trigger-deploy: no answer', '  code AWS_UNREACHABLE, exit 3']);
  expect(lines.filter((line) => line.startsWith('  caused by '))).toEqual([
    '  caused by Error: request failed',
    '  caused by Error: socket hang up',
  ]);
});

it('an unexpected error is called a bug, and its message is shown', () => {
  expect(errorLines(new TypeError('x is not a function'), false)).toEqual([
    'trigger-deploy: x is not a function',
    '  → this is a bug: --verbose shows where',
  ]);
  expect(errorLines(new TypeError('x is not a function'), true).join('\n')).toContain('error-output.test.ts');
});

it('as JSON it is one object on one line', () => {
  const line = errorJson(new TriggerDeployError('LOCKED', 'held by\nci', { hint: 'wait' }), 0);
  expect(JSON.parse(line)).toEqual({
    ...{ time: '1970-01-01T00:00:00.000Z', type: 'error', code: 'LOCKED' },
    ...{ message: 'held by\nci', hint: 'wait', exitCode: 4 },
  });
  expect(line).not.toContain('\n');
});
