import { describe, expect, it } from 'vitest';
import { failureBlocks, failureLines } from '../../../../publisher/render/failure-text.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { ID, reported } from '../../../support/publisher/render-samples.ts';

function failed(instance: string, detail?: string) {
  const error = { code: 'CHECK_FAILED', message: 'http 500', ...(detail !== undefined && { detail }) };
  const event = reported(0, instance, { state: 'rolled-back', error });
  if (event.type !== 'report') throw new Error('not a report');
  return event.report;
}

describe('a failure of several instances', () => {
  const group = [failed('i-1'), failed('i-2', 'one\ntwo\nno database'), failed('i-3', 'other')];
  const show = (instance: string) => `trigger-deploy show ${ID} --instance ${instance} --env dev`;

  it('shows on a terminal the log of the first instance that has one', () => {
    expect(failureBlocks(group, { columns: 200, paint: plain }, 1)).toEqual([
      '',
      '  3 instances rolled-back: CHECK_FAILED: http 500',
      '    i-1, i-2, i-3',
      '    log of i-2:',
      `    | … 2 earlier lines: ${show('i-2')}`,
      '    | no database',
      `    → the log of another instance: ${show('i-3')}`,
    ]);
  });

  it('shows on a pipe the log of the first instance that has one', () => {
    expect(failureLines(group, '')).toEqual([
      'failure on 3 instances (i-1, i-2, i-3): CHECK_FAILED: http 500',
      '  log of i-2:',
      ...['  | one', '  | two', '  | no database'],
      `  → the log of another instance: ${show('i-3')}`,
    ]);
  });
});

describe('a failure with a hint', () => {
  const { error, ...rest } = failed('i-1');
  const one = {
    ...rest,
    error: { ...error, code: 'CHECK_FAILED', message: 'http 500', hint: 'raise `deadline`' },
  };

  it('is shown with it on a terminal and on a pipe, also without a log', () => {
    expect(failureBlocks([one], { columns: 200, paint: plain })).toEqual([
      ...['', '  i-1 rolled-back: CHECK_FAILED: http 500', '    → raise `deadline`'],
    ]);
    expect(failureLines([one], '')).toEqual([
      ...['failure on i-1: CHECK_FAILED: http 500', '  → raise `deadline`'],
    ]);
  });
});
