import { expect, test } from 'vitest';
import { buildReport, buildReportError } from '../../../../agent/deploy/build-report.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { DETAIL_LIMIT, report } from '../../../../shared/report.ts';
import { IDENTITY, orderOf } from '../../../support/fleet/fake-ports.ts';

/** The one place where text is cleaned before it leaves the agent. */

test('a log tail of any size and kind becomes a report that its readers accept', () => {
  const error = buildReportError(
    new TriggerDeployError('CHECK_FAILED', 'x'.repeat(5000)),
    `${'\u001b[31mé\u0007"'.repeat(100_000)}the end`,
  );
  const built = buildReport(IDENTITY, orderOf('1.0.0'), {
    ...{ state: 'rolled-back', n: 4, at: 0, error, note: 'y'.repeat(5000), timings: { prepare: 0.4 } },
  });
  const accepted = report.parse(JSON.parse(JSON.stringify(built)));
  expect(Buffer.byteLength(accepted.error?.detail ?? '')).toBeLessThanOrEqual(DETAIL_LIMIT);
  expect(accepted.error?.detail).toMatch(/the end$/);
  expect(accepted).toMatchObject({ n: 4, state: 'rolled-back' });
});

test('control sequences are removed from the note, the message and the detail', () => {
  const error = buildReportError(
    new TriggerDeployError('START_FAILED', 'it \u001b[31mfailed\u001b[0m\nat once'),
    'Exception in \u001b[31mmain\u001b[0m\n',
  );
  expect(error).toEqual({
    code: 'START_FAILED',
    message: 'it failed at once',
    detail: 'Exception in main\n',
  });
  const built = buildReport(IDENTITY, orderOf('1.0.0'), {
    ...{ state: 'starting', n: 1, at: 0, note: 'http \u001b[2J503', timings: {} },
  });
  expect(built.note).toBe('http 503');
});
