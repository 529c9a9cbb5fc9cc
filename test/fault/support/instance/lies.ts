import type { Announcement, ChangeAnnouncement } from '../../../../shared/announcement.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { InstanceRecord, Report, RollCallAnswer } from '../../../../shared/report.ts';
import type { State } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { ENV } from '../../../support/fleet/fleet.ts';
import { EVIL, EVIL_USER, type Intruder, type Policy } from './intruder.ts';

/** What the role of one instance writes to change what is said of others. None of it may have any effect. */

export const SERVICE = 'payments';
export const HONEST = ['i-1', 'i-2'] as const;

/** What is written before a command, and at each announcement of it. */
export interface Lie {
  title: string;
  policy: Policy;
  /** So many objects that it is told alone. */
  many?: true;
  before?(evil: Intruder): void | Promise<void>;
  heard?(evil: Intruder, said: Announcement): void | Promise<void>;
}

const now = () => new Date().toISOString();

export const isOrder = (said: Announcement): said is ChangeAnnouncement =>
  said.kind === 'deploy' || said.kind === 'prepare';

export function reportOf(order: ChangeAnnouncement, instance: string, state: State, n = 9e15): Report {
  const { deployment, service, sequence, version } = order;
  const error = { code: 'START_FAILED', message: 'mallory was here' };
  return {
    ...{ kind: 'report', v: 1, env: ENV, deployment, service, instance, sequence, n, at: now(), state },
    ...{ version, timings: {}, ...(state !== 'succeeded' && { error }) },
  };
}

export const recordOf = (instance: string, more: Partial<InstanceRecord> = {}): InstanceRecord => ({
  ...{ v: 1, env: ENV, service: SERVICE, instance, version: '6.6.6', sequence: 1_000_000, seen: 1_000_000 },
  ...{ pinned: false, agentVersion: '6.6.6', at: now(), active: false, state: 'broken', ...more },
});

export const answerOf = (
  said: Announcement,
  services: readonly InstanceRecord[],
  more: Partial<RollCallAnswer> = {},
): RollCallAnswer => ({
  ...{ kind: 'roll-call', v: 1, rollCall: said.deployment, env: ENV, instance: EVIL },
  ...{ agentVersion: '6.6.6', at: now(), services: [...services], ...more },
});

const ownReport = ({ service, deployment }: ChangeAnnouncement) =>
  keys.report(ENV, service, deployment, EVIL_USER);
const ownRecord = keys.instance(ENV, SERVICE, EVIL_USER);
const ghosts = (count: number) => Array.from({ length: count }, (_, i) => `i-ghost${i}`);

/** At each order: these replies. */
const replies = (title: string, said: (order: ChangeAnnouncement) => readonly (object | string)[]): Lie => ({
  ...{ title, policy: 'own' },
  async heard(evil, order) {
    if (isOrder(order)) for (const body of said(order)) await evil.send(order.replyTo, body);
  },
});

/** At each order: this object. */
const reported = (
  title: string,
  policy: Policy,
  said: (order: ChangeAnnouncement) => readonly (readonly [string, object | string])[],
): Lie => ({
  ...{ title, policy },
  async heard(evil, order) {
    if (isOrder(order)) for (const [key, body] of said(order)) await evil.put(key, body);
  },
});

const answers = (title: string, said: (call: Announcement) => readonly RollCallAnswer[]): Lie => ({
  ...{ title, policy: 'own' },
  async heard(evil, call) {
    if (call.kind === 'roll-call') for (const body of said(call)) await evil.send(call.replyTo, body);
  },
});

/** So deep that JSON can be read and not written. */
const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
export const withDeep = (value: object) => `${JSON.stringify(value).slice(0, -1)},"more":${deep}}`;
export const HUGE = 'x'.repeat(900_000);

const GARBAGE = [
  ...['not JSON', '{', 'null', '0', '[]', '"report"', deep, `{"kind":"report","n":${deep}}`, HUGE],
  ...['{"__proto__":{"kind":"report"},"instance":"i-1"}', '{"kind":"roll-call","services":{}}', '\u0001'],
];

/** What the policy of an instance allows. */
export const LIES: readonly Lie[] = [
  replies('replies that the others failed', (order) => [
    ...HONEST.map((id) => reportOf(order, id, 'failed')),
    ...HONEST.map((id) => reportOf(order, id, 'rolled-back', 0)),
  ]),
  replies('replies that the others are busy, from the last number on', (order) =>
    HONEST.map((id) => reportOf(order, id, 'preparing', Number.MAX_SAFE_INTEGER)),
  ),
  replies('replies of invented instances', (order) =>
    ghosts(20).flatMap((id) => [reportOf(order, id, 'accepted', 0), reportOf(order, id, 'failed')]),
  ),
  replies('replies about another deployment, service and environment', (order) => {
    const failed = reportOf(order, EVIL, 'failed');
    const elsewhere = [{ deployment: newUlid(Date.now()) }, { service: 'billing' }, { env: 'prd' }];
    return elsewhere.map((other) => ({ ...failed, ...other }));
  }),
  reported('a report below its own name that another one failed', 'own', (order) => [
    [ownReport(order), reportOf(order, HONEST[0], 'failed')],
  ]),
  reported('its own report that it failed, which nobody expects', 'own', (order) => [
    [ownReport(order), reportOf(order, EVIL, 'failed')],
  ]),
  reported('reports that are no JSON, too deep or too large', 'own', (order) => [
    [ownReport(order), withDeep(reportOf(order, EVIL, 'failed'))],
    [keys.report(ENV, 'aaa', order.deployment, EVIL_USER), HUGE],
  ]),
  {
    ...{ title: 'a record below its own name that another one left', policy: 'own' },
    before: (evil) => evil.put(ownRecord, recordOf(HONEST[0], { leftAt: now() })),
  },
  {
    ...{ title: 'a record below its own name of an invented instance', policy: 'own' },
    before: (evil) => evil.put(ownRecord, recordOf('i-ghost')),
  },
  {
    ...{ title: 'more records and reports than a fleet has, further below', policy: 'own', many: true },
    before(evil) {
      const all = ghosts(10_001).map(
        (id) => `${keys.instances(ENV, SERVICE)}${id}/instances/${EVIL_USER}.json`,
      );
      evil.putAll(all, recordOf(EVIL));
    },
    heard(evil, order) {
      if (order.kind !== 'deploy') return;
      const below = keys.reports(ENV, SERVICE, order.deployment);
      const all = ghosts(10_001).map((id) => `${below}${id}/deployments/x/reports/${EVIL_USER}.json`);
      evil.putAll(all, reportOf(order, EVIL, 'failed'));
    },
  },
  {
    ...{ title: 'hundreds of deployments that never were, newer than all', policy: 'own' },
    before(evil) {
      const ids = Array.from({ length: 300 }, (_, i) => newUlid(Date.now() + 3_600_000 + i));
      evil.putAll(
        ids.map((id) => keys.report(ENV, SERVICE, id, EVIL_USER)),
        {},
      );
    },
  },
  reported('the deployment below the name of another service', 'own', (order) => [
    [
      keys.report(ENV, 'aaa', order.deployment, EVIL_USER),
      { ...reportOf(order, EVIL, 'failed'), service: 'aaa' },
    ],
  ]),
  answers('answers to a roll call in the names of the others', (call) =>
    [...HONEST, 'i-ghost'].map((instance) => answerOf(call, [recordOf(instance)], { instance })),
  ),
  answers('an answer to a roll call that speaks for the others, too', (call) => [
    answerOf(
      call,
      [EVIL, ...HONEST, ...ghosts(50)].map((id) => recordOf(id)),
    ),
  ]),
  answers('an answer to a roll call with hundreds of voices', (call) => [
    answerOf(
      call,
      Array.from({ length: 200 }, () => recordOf(EVIL)),
    ),
  ]),
  answers('answers to other roll calls, of other environments', (call) => [
    answerOf(call, [recordOf(EVIL)], { rollCall: newUlid(Date.now()) }),
    answerOf(call, [], { env: 'prd' }),
  ]),
  {
    ...{ title: 'replies that are no replies', policy: 'own' },
    heard(evil, { replyTo }) {
      evil.sendAll(replyTo, GARBAGE);
    },
  },
  {
    ...{ title: 'thousands of replies', policy: 'own' },
    heard(evil, said) {
      if (!isOrder(said)) return;
      const lies = HONEST.map((id) => JSON.stringify(reportOf(said, id, 'failed')));
      evil.sendAll(said.replyTo, Array.from({ length: 1000 }, () => [...lies, 'no']).flat());
    },
  },
];

/**
 * What only the policy of version 0.1 allows. Under the very name of another instance that policy lets a role write as
 * well, and then nothing can tell who wrote it: that is why the upgrade ends with the removal of those rights.
 */
export const WIDE_LIES: readonly Lie[] = [
  ...['i-1', 'AIDAMALLORY', 'AROAX:i-1.evil', 'AROAX:i-11', 'AROAX:I-1', EVIL_USER].map(
    (name): Lie => ({
      ...{ title: `a record and a report of i-1 below the name ${name}`, policy: 'wide' },
      before: (evil) => evil.put(keys.instance(ENV, SERVICE, name), recordOf('i-1', { leftAt: now() })),
      async heard(evil, order) {
        if (!isOrder(order)) return;
        await evil.put(keys.report(ENV, SERVICE, order.deployment, name), reportOf(order, 'i-1', 'failed'));
      },
    }),
  ),
  {
    ...{ title: '5,001 records of invented instances, below their own names', policy: 'wide' },
    before: (evil) =>
      evil.putAll(
        ghosts(5001).map((id) => keys.instance(ENV, SERVICE, id)),
        recordOf('i-ghost'),
      ),
  },
  {
    ...{ title: 'records of invented instances below the names of role sessions', policy: 'wide' },
    before(evil) {
      const names = ghosts(100).map((id) => keys.instance(ENV, SERVICE, userIdOf(`${id}-not`)));
      evil.putAll(names, recordOf('i-ghost'));
    },
  },
  {
    ...{ title: 'its own record of another service and environment', policy: 'wide' },
    async before(evil) {
      await evil.put(keys.instance(ENV, SERVICE, 'AROAX:i-ghost1'), recordOf('i-ghost1', { service: 'aaa' }));
      await evil.put(keys.instance(ENV, SERVICE, 'AROAX:i-ghost2'), recordOf('i-ghost2', { env: 'prd' }));
    },
  },
];
