import { initialState, type Order, type ServiceState } from '../../../agent/deploy/state.ts';
import {
  started,
  withActiveEnded,
  withSequence,
  withWaiting,
} from '../../../agent/deploy/state-transitions.ts';
import type { Knowledge } from '../../../agent/loop/admit.ts';
import { type Announcement, announcement } from '../../../shared/announcement.ts';
import { newUlid, replyQueueName } from '../../../shared/names.ts';
import type { Report } from '../../../shared/report.ts';
import type { Ending } from '../../../shared/states.ts';
import { artifactsOf } from '../fleet/fake-ports.ts';

export const NOW = Date.parse('2026-01-31T08:00:00.000Z');
export const MINUTE = 60_000;
export const iso = (ms: number) => new Date(ms).toISOString();
export const id = (n: number) => newUlid(NOW + n);
/** One deployment and its rivals, with fixed ids. */
export const OURS = id(1);
export const RIVAL = id(2);
export const REPLY_TO = replyQueueName('dev', id(3));

const common = {
  v: 1,
  env: 'dev',
  service: 'payments',
  issuedAt: iso(NOW - MINUTE),
  expiresAt: iso(NOW + 10 * MINUTE),
  issuedBy: 'ci',
};

/** An announcement as an agent reads it. */
export const say = (more: object = {}): Announcement =>
  announcement.parse({
    kind: 'deploy',
    ...common,
    deployment: OURS,
    version: '1.4.2',
    sequence: 7,
    action: 'deploy',
    artifacts: artifactsOf('1.4.2'),
    ...more,
  });

export const fresh = () => initialState('i-1', 'payments');
export const know = (
  state: ServiceState | undefined = fresh(),
  more: Partial<Knowledge> = {},
): Knowledge => ({
  env: 'dev',
  instance: 'i-1',
  now: NOW,
  state,
  ...more,
});

export const ORDER: Order = {
  deployment: OURS,
  service: 'payments',
  sequence: 7,
  version: '1.4.2',
  action: 'deploy',
  artifacts: artifactsOf('1.4.2'),
  source: 'announcement',
  hold: false,
};

export const reportOf = (order: Order, state: Ending): Report => ({
  kind: 'report',
  v: 1,
  deployment: order.deployment,
  env: 'dev',
  service: 'payments',
  instance: 'i-1',
  sequence: order.sequence,
  n: 1,
  at: iso(NOW),
  state,
  version: order.version,
  timings: {},
});

export const active = (order: Order, from = fresh()) =>
  started(withWaiting(withSequence(from, order.sequence, order.deployment), order), {
    bootId: 'b',
    now: NOW,
  });
export const ended = (order: Order, ending: Ending, from = fresh()) =>
  withActiveEnded(active(order, from), ending, reportOf(order, ending));

export const EXPIRED = { expiresAt: iso(NOW) };
export const OTHERS = { targets: ['i-2', 'i-3'] };
export const HELD = { ...ORDER, hold: true };
export const seen = (sequence: number, deployment = RIVAL) => withSequence(fresh(), sequence, deployment);

export const KINDS = ['deploy', 'prepare', 'cancel', 'converge', 'roll-call'] as const;
