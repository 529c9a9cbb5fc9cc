import { expect, test } from 'vitest';
import { buildInstanceRecord, buildReport, buildReportError } from '../../../../agent/deploy/build-report.ts';
import { initialState } from '../../../../agent/deploy/state.ts';
import { DETAIL_LIMIT } from '../../../../shared/clean-text.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { HINT_LIMIT, instanceRecord, MOST_TRUSTED, report, SHORT_TEXT } from '../../../../shared/report.ts';
import { IDENTITY, orderOf } from '../../../support/fleet/fake-ports.ts';

/** The one place where text is cleaned before it leaves the agent. */

const NOTHING_TO_DO = ['CANCELLED', 'SUPERSEDED'];
/** Codes that end a deployment on an instance. */
const ENDING_CODES = [
  ...(['EXPIRED', 'CONFLICT', 'NO_SPACE', 'ARTIFACT_NOT_FOUND', 'ARTIFACT_SIZE_MISMATCH'] as const),
  ...(['ARTIFACT_DIGEST_MISMATCH', 'DOWNLOAD_FAILED', 'ARCHIVE_UNSAFE', 'RELEASE_CONFLICT'] as const),
  ...([
    'RELEASE_INCOMPLETE',
    'PACKAGE_INVALID',
    'DEPENDENCY_UNMET',
    'UNDO_IMPOSSIBLE',
    'NOT_READY',
    'HOOK_FAILED',
  ] as const),
  ...([
    'TRAFFIC_FAILED',
    'DPKG_LOCKED',
    'DPKG_FAILED',
    'STOP_FAILED',
    'START_FAILED',
    'CHECK_FAILED',
  ] as const),
  ...([
    'WATCH_FAILED',
    'COMMAND_FAILED',
    'TIMEOUT',
    'RECOVERY_EXHAUSTED',
    'INTERNAL',
    'AWS_UNREACHABLE',
  ] as const),
  ...(['AWS_DENIED', 'SIGNATURE_INVALID', 'CANCELLED', 'SUPERSEDED'] as const),
];

test.each(ENDING_CODES)('a report of %s has a hint, unless there is nothing to do', (code) => {
  const { hint } = buildReportError(new TriggerDeployError(code, 'it failed'), undefined);
  if (NOTHING_TO_DO.includes(code)) expect(hint).toBeUndefined();
  else expect(hint).toMatch(/\w{3}/);
});

test('a hint of any length and kind becomes a report that its readers accept', () => {
  const hint = `\u001b]0;title\u0007${'é"\n'.repeat(5000)}`;
  const error = buildReportError(new TriggerDeployError('CHECK_FAILED', 'no', { hint }), undefined);
  const built = buildReport(IDENTITY, orderOf('1.0.0'), {
    ...{ state: 'rolled-back', n: 4, at: 0, error, timings: {} },
  });
  const accepted = report.parse(JSON.parse(JSON.stringify(built)));
  expect(accepted.error?.hint).toMatch(/^é" é"/);
  expect(accepted.error?.hint?.length).toBeLessThanOrEqual(HINT_LIMIT);
});

test('the record of an instance has why the last deployment failed there, short enough for a roll call', () => {
  const error = buildReportError(
    new TriggerDeployError('START_FAILED', 'm'.repeat(3000), { hint: 'h'.repeat(3000) }),
    'a log',
  );
  const order = orderOf('1.1.0');
  const failed = buildReport(IDENTITY, order, {
    ...{ state: 'rolled-back', n: 4, at: 0, error, timings: {} },
  });
  const state = { ...initialState(IDENTITY.instance, order.service), endings: [{ report: failed }] };
  const built = buildInstanceRecord(IDENTITY, state, { version: '1.0.0', active: true }, 0);
  expect(instanceRecord.parse(JSON.parse(JSON.stringify(built))).failure).toEqual({
    code: 'START_FAILED',
    message: 'm'.repeat(SHORT_TEXT),
    hint: 'h'.repeat(SHORT_TEXT),
  });
});

test('the record of an instance has the keys that its agent trusts, as many as a reader accepts; none where none are known', () => {
  const state = initialState(IDENTITY.instance, 'payments');
  const recordWith = (trusts?: string[]) =>
    instanceRecord.parse(
      buildInstanceRecord({ ...IDENTITY, trusts }, state, { version: null, active: undefined }, 0),
    );
  expect(recordWith(['a', 'b']).trusts).toEqual(['a', 'b']);
  expect(recordWith(Array.from({ length: 99 }, (_, n) => `k${n}`)).trusts).toHaveLength(MOST_TRUSTED);
  expect(recordWith([])).not.toHaveProperty('trusts');
  expect(recordWith()).not.toHaveProperty('trusts');
});

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

test('control sequences are removed from the note, the message, the hint and the detail', () => {
  const error = buildReportError(
    new TriggerDeployError('START_FAILED', 'it \u001b[31mfailed\u001b[0m\nat once', {
      hint: 'look at\n\u001b[2Jthe log',
    }),
    'Exception in \u001b[31mmain\u001b[0m\n',
  );
  expect(error).toEqual({
    code: 'START_FAILED',
    message: 'it failed at once',
    detail: 'Exception in main\n',
    hint: 'look at the log',
  });
  const built = buildReport(IDENTITY, orderOf('1.0.0'), {
    ...{ state: 'starting', n: 1, at: 0, note: 'http \u001b[2J503', timings: {} },
  });
  expect(built.note).toBe('http 503');
});
