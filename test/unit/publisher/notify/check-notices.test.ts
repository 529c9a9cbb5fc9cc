import { expect, test } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { notice, openNotices } from '../../../../publisher/notify/notice.ts';
import { noticeText } from '../../../../publisher/notify/notice-text.ts';
import { createClock } from '../../../../shared/clock.ts';
import { FLEET, ID, START, started } from '../../../support/publisher/render-samples.ts';

const session = {
  env: { name: 'dev' },
  who: 'jenkins payments#4711',
  origin: { user: 'jenkins', host: 'ci-1' },
  clock: createClock(Date.now),
} as Parameters<typeof openNotices>[0];
const check = (change: Partial<Extract<PublisherEvent, { type: 'check' }>>): PublisherEvent => ({
  ...{
    type: 'check',
    at: START,
    deployment: ID,
    check: 'verify',
    phase: 'canary',
    state: 'failed',
    text: 'exit code 3',
  },
  ...change,
});

test('a check that failed is a notice, with what it was; one that passes is none', () => {
  const notices = openNotices(session);
  notices.of(started(FLEET));
  expect(notices.of(check({ state: 'passed' }))).toBeUndefined();
  const failed = notice.parse(notices.of(check({})));
  expect(failed).toMatchObject({
    type: 'check-failed',
    check: 'verify',
    phase: 'canary',
    text: 'exit code 3',
  });
  expect(noticeText(failed)).toContain(
    'payments 1.4.1 → 1.4.2 in dev: verify after the canary failed: exit code 3',
  );
  const alarms = notice.parse(
    notices.of(check({ check: 'alarms', phase: undefined, text: 'the alarm 5xx is in ALARM' })),
  );
  expect(noticeText(alarms)).toContain('✗ payments 1.4.1 → 1.4.2 in dev: the alarm 5xx is in ALARM');
});

test('who only watches sends none', () => {
  const notices = openNotices(session);
  notices.of(started(FLEET, { how: 'watched' }));
  expect(notices.of(check({}))).toBeUndefined();
});

test('a start names its checks, and says loudly that they are skipped', () => {
  const checks = ['alarms', 'verify'] as const;
  expect(openNotices(session).of(started(FLEET, { checks }))).toMatchObject({ checks });
  const skipped = notice.parse(
    openNotices(session).of(started(FLEET, { checks, skippedChecks: true, reason: 'down' })),
  );
  expect(skipped).toMatchObject({ skippedChecks: true });
  expect(noticeText(skipped)).toContain(
    'started by jenkins payments#4711 WITHOUT its automatic checks: down',
  );
});
