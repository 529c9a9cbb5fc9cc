import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  beforeSwitch,
  endingOf,
  initialState,
  type Order,
  type ServiceState,
} from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withSequence,
  withTombstone,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import { admit, type Decision, type Knowledge } from '../../../../agent/loop/admit.ts';
import { type Announcement, announcement } from '../../../../shared/announcement.ts';
import { newUlid, replyQueueName } from '../../../../shared/names.ts';
import { type Ending, PROGRESS_STATES, type Report } from '../../../../shared/report.ts';
import { artifactsOf } from '../../../support/fleet/fake-ports.ts';

const NOW = Date.parse('2026-01-31T08:00:00.000Z');
const MINUTE = 60_000;
const iso = (ms: number) => new Date(ms).toISOString();
const id = (n: number) => newUlid(NOW + n);
/** One deployment and its rivals, with fixed ids. */
const OURS = id(1);
const RIVAL = id(2);
const REPLY_TO = replyQueueName('dev', id(3));

const common = {
  v: 1,
  env: 'dev',
  service: 'payments',
  issuedAt: iso(NOW - MINUTE),
  expiresAt: iso(NOW + 10 * MINUTE),
  issuedBy: 'ci',
};

/** An announcement as an agent reads it. */
const say = (more: object = {}): Announcement =>
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

const fresh = () => initialState('i-1', 'payments');
const know = (state: ServiceState | undefined = fresh(), more: Partial<Knowledge> = {}): Knowledge => ({
  env: 'dev',
  instance: 'i-1',
  now: NOW,
  state,
  ...more,
});

const ORDER: Order = {
  deployment: OURS,
  service: 'payments',
  sequence: 7,
  version: '1.4.2',
  action: 'deploy',
  artifacts: artifactsOf('1.4.2'),
  source: 'announcement',
  hold: false,
};

const reportOf = (order: Order, state: Ending): Report => ({
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

const active = (order: Order, from = fresh()) =>
  started(withWaiting(withSequence(from, order.sequence, order.deployment), order), {
    bootId: 'b',
    now: NOW,
  });
const ended = (order: Order, ending: Ending, from = fresh()) =>
  withActiveEnded(active(order, from), ending, reportOf(order, ending));

const EXPIRED = { expiresAt: iso(NOW) };
const OTHERS = { targets: ['i-2', 'i-3'] };
const HELD = { ...ORDER, hold: true };
const seen = (sequence: number, deployment = RIVAL) => withSequence(fresh(), sequence, deployment);

describe('a deploy', () => {
  test('of a new sequence is accepted with all its fields', () => {
    expect(admit(say({ replyTo: REPLY_TO }), know())).toEqual({
      do: 'accept',
      order: { ...ORDER, replyTo: REPLY_TO },
    });
  });

  test('without a reply queue becomes an order without one', () => {
    expect(admit(say(), know())).toEqual({ do: 'accept', order: ORDER });
  });

  test('of an older version (a rollback) is accepted because its sequence is higher', () => {
    const said = say({ action: 'rollback', version: '1.0.0' });
    expect(admit(said, know(seen(6)))).toMatchObject({
      do: 'accept',
      order: { action: 'rollback', version: '1.0.0' },
    });
  });

  test.each<[string, object, ServiceState | undefined, Partial<Knowledge>, object]>([
    ['for a service that this instance does not have is ignored', {}, undefined, {}, { do: 'ignore' }],
    [
      'for another environment is refused',
      { env: 'prd' },
      fresh(),
      {},
      { do: 'refuse', code: 'WRONG_ENVIRONMENT' },
    ],
    [
      'with this instance among its targets is accepted',
      { targets: ['i-2', 'i-1'] },
      fresh(),
      {},
      { do: 'accept' },
    ],
    ['for other instances raises the sequence seen', OTHERS, fresh(), {}, { do: 'raise' }],
    ['without targets raises the sequence seen', { targets: [] }, fresh(), {}, { do: 'raise' }],
    [
      'for an instance whose id begins with ours is not for us',
      { targets: ['i-10'] },
      fresh(),
      {},
      { do: 'raise' },
    ],
    ['of a higher sequence is accepted', {}, seen(6), {}, { do: 'accept' }],
    [
      'of a lower sequence is superseded',
      {},
      seen(8),
      {},
      { do: 'end', ending: 'superseded', code: 'SUPERSEDED' },
    ],
    ['of a lower sequence, for other instances, is ignored', OTHERS, seen(8), {}, { do: 'ignore' }],
    [
      'of the same sequence and another deployment is a conflict',
      {},
      seen(7),
      {},
      { do: 'end', ending: 'rejected', code: 'CONFLICT' },
    ],
    [
      'of the same sequence and another deployment, for other instances, is ignored',
      OTHERS,
      seen(7),
      {},
      { do: 'ignore' },
    ],
    [
      'of the same sequence and the same deployment, not begun here, is accepted',
      {},
      seen(7, OURS),
      {},
      { do: 'accept' },
    ],
    [
      'that has expired is rejected',
      EXPIRED,
      fresh(),
      {},
      { do: 'end', ending: 'rejected', code: 'EXPIRED', why: expect.stringContaining("AWS's clock says") },
    ],
    [
      'that has expired, for other instances, is ignored',
      { ...EXPIRED, ...OTHERS },
      fresh(),
      {},
      { do: 'ignore' },
    ],
    [
      'that has expired is rejected as expired, even when its sequence is older',
      EXPIRED,
      seen(8),
      {},
      { do: 'end', ending: 'rejected', code: 'EXPIRED' },
    ],
    [
      'a millisecond before it expires is accepted',
      { expiresAt: iso(NOW + 1) },
      fresh(),
      {},
      { do: 'accept' },
    ],
    [
      'that was cancelled before it arrived ends cancelled',
      {},
      withTombstone(fresh(), OURS),
      {},
      { do: 'end', ending: 'cancelled', code: 'CANCELLED' },
    ],
    [
      'is accepted when another deployment was cancelled',
      {},
      withTombstone(fresh(), RIVAL),
      {},
      { do: 'accept' },
    ],
    ['delivered twice is answered again while it runs', {}, active(ORDER), {}, { do: 'repeat' }],
    [
      'delivered twice is answered again while it waits',
      {},
      withWaiting(seen(7, OURS), ORDER),
      {},
      { do: 'repeat' },
    ],
    ['delivered twice is answered again after it ended', {}, ended(ORDER, 'succeeded'), {}, { do: 'repeat' }],
    [
      'that failed does not start again when delivered twice',
      {},
      ended(ORDER, 'rolled-back'),
      {},
      { do: 'repeat' },
    ],
    [
      'that was cancelled while it ran is answered again, and not ended again',
      {},
      withTombstone(ended(ORDER, 'cancelled'), OURS),
      {},
      { do: 'repeat' },
    ],
    [
      'that ended is answered again even when it has expired',
      EXPIRED,
      ended(ORDER, 'succeeded'),
      {},
      { do: 'repeat' },
    ],
    ['that runs is answered again even when it has expired', EXPIRED, active(ORDER), {}, { do: 'repeat' }],
    [
      'that ended is answered again even when a newer sequence was seen',
      {},
      withSequence(ended(ORDER, 'succeeded'), 9, RIVAL),
      {},
      { do: 'repeat' },
    ],
    ['that is prepared here proceeds', {}, active(HELD), {}, { do: 'proceed' }],
    ['that waits to be prepared here proceeds', {}, withWaiting(seen(7, OURS), HELD), {}, { do: 'proceed' }],
    ['that is prepared here and has expired does not proceed', EXPIRED, active(HELD), {}, { do: 'repeat' }],
    [
      'that is prepared here does not proceed after a newer sequence was seen',
      {},
      withSequence(active(HELD), 8, RIVAL),
      {},
      { do: 'repeat' },
    ],
    [
      'for other instances does not make a prepared deployment proceed',
      OTHERS,
      active(HELD),
      {},
      { do: 'raise' },
    ],
    [
      'is accepted while an older one runs',
      {},
      active({ ...ORDER, deployment: RIVAL, sequence: 6 }),
      {},
      { do: 'accept' },
    ],
  ])('%s', (_, said, state, more, decision) => {
    expect(admit(say(said), { ...know(fresh(), more), state })).toMatchObject(decision);
  });
});

describe('a prepare', () => {
  const prepare = { kind: 'prepare' };

  test('is accepted and held once it is prepared', () => {
    expect(admit(say(prepare), know())).toEqual({ do: 'accept', order: HELD });
  });

  test.each<[string, object, ServiceState, object]>([
    ['delivered twice is answered again', prepare, active(HELD), { do: 'repeat' }],
    ['that arrives after its deploy does not hold it', prepare, active(ORDER), { do: 'repeat' }],
    ['of an ended deployment is answered again', prepare, ended(ORDER, 'failed'), { do: 'repeat' }],
    ['for other instances raises the sequence seen', { ...prepare, ...OTHERS }, fresh(), { do: 'raise' }],
    ['of a lower sequence is superseded', prepare, seen(8), { do: 'end', ending: 'superseded' }],
    [
      'of the same sequence and another deployment is a conflict',
      prepare,
      seen(7),
      { do: 'end', code: 'CONFLICT' },
    ],
    ['that has expired is rejected', { ...prepare, ...EXPIRED }, fresh(), { do: 'end', code: 'EXPIRED' }],
    [
      'that was cancelled before it arrived ends cancelled',
      prepare,
      withTombstone(fresh(), OURS),
      { do: 'end', ending: 'cancelled' },
    ],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), know(state))).toMatchObject(decision);
  });
});

describe('a cancel', () => {
  const cancel = { kind: 'cancel' };

  test.each<[string, object, ServiceState | undefined, object]>([
    ['is obeyed', cancel, active(ORDER), { do: 'cancel' }],
    ['that arrives first is carried out too', cancel, fresh(), { do: 'cancel' }],
    ['of an older sequence is carried out: it names a deployment', cancel, seen(9), { do: 'cancel' }],
    ['that has expired is ignored', { ...cancel, ...EXPIRED }, active(ORDER), { do: 'ignore' }],
    ['for other instances is ignored', { ...cancel, ...OTHERS }, active(ORDER), { do: 'ignore' }],
    ['for a service that this instance does not have is ignored', cancel, undefined, { do: 'ignore' }],
    ['for another environment is refused', { ...cancel, env: 'prd' }, active(ORDER), { do: 'refuse' }],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), { ...know(), state })).toMatchObject(decision);
  });
});

describe('a roll call, or a converge', () => {
  const converge = { kind: 'converge' };
  const rollCall = { kind: 'roll-call' };
  const everybody = { ...rollCall, service: undefined };

  test.each<[string, object, ServiceState | undefined, object]>([
    ['a roll call of all services is answered', everybody, undefined, { do: 'answer-roll-call' }],
    ['a roll call of a service of this instance is answered', rollCall, fresh(), { do: 'answer-roll-call' }],
    ['a roll call is answered whatever sequence was seen', rollCall, seen(99), { do: 'answer-roll-call' }],
    [
      'a roll call of a service that this instance does not have is ignored',
      rollCall,
      undefined,
      { do: 'ignore' },
    ],
    ['a roll call that has expired is ignored', { ...everybody, ...EXPIRED }, undefined, { do: 'ignore' }],
    ['a roll call of other instances is ignored', { ...everybody, ...OTHERS }, undefined, { do: 'ignore' }],
    [
      'a roll call of another environment is refused',
      { ...everybody, env: 'prd' },
      undefined,
      { do: 'refuse' },
    ],
    ['a converge is carried out', converge, fresh(), { do: 'converge' }],
    ['a converge that has expired is ignored', { ...converge, ...EXPIRED }, fresh(), { do: 'ignore' }],
    ['a converge for other instances is ignored', { ...converge, ...OTHERS }, fresh(), { do: 'ignore' }],
    [
      'a converge of a service that this instance does not have is ignored',
      converge,
      undefined,
      { do: 'ignore' },
    ],
    ['a converge of another environment is refused', { ...converge, env: 'prd' }, fresh(), { do: 'refuse' }],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), { ...know(), state })).toMatchObject(decision);
  });
});

const KINDS = ['deploy', 'prepare', 'cancel', 'converge', 'roll-call'] as const;

describe('an expiry', () => {
  test('more than an hour after the issue counts as expired, for every kind', () => {
    const long = { issuedAt: iso(NOW - 1), expiresAt: iso(NOW + 60 * MINUTE) };
    expect(admit(say(long), know())).toMatchObject({ do: 'end', code: 'EXPIRED' });
    for (const kind of KINDS.slice(2)) expect(admit(say({ ...long, kind }), know()).do).toBe('ignore');
  });

  test('exactly an hour after the issue is valid', () => {
    expect(admit(say({ issuedAt: iso(NOW), expiresAt: iso(NOW + 60 * MINUTE) }), know()).do).toBe('accept');
  });

  test('in another century counts as expired', () => {
    expect(admit(say({ expiresAt: '9999-12-31T23:59:59Z' }), know())).toMatchObject({ code: 'EXPIRED' });
  });

  test('is compared with the given time, not with the clock of this machine', () => {
    expect(admit(say(), know(fresh(), { now: NOW + 11 * MINUTE }))).toMatchObject({ code: 'EXPIRED' });
    expect(admit(say(), know(fresh(), { now: NOW })).do).toBe('accept');
  });
});

describe('a foreign reply queue', () => {
  test.each([
    'orders',
    '',
    replyQueueName('prd', OURS),
    'trigger-deploy-dev-i-2',
    `${REPLY_TO}x`,
    'https://sqs.eu-west-1.amazonaws.com/999999999999/x',
    `999999999999/${REPLY_TO}`.slice(0, 80),
  ])('named "%s" makes the whole announcement refused, whatever its kind', (replyTo) => {
    for (const kind of KINDS) {
      expect(admit(say({ kind, replyTo }), know())).toMatchObject({ do: 'refuse', code: 'DOCUMENT_INVALID' });
    }
  });

  test('is refused even for a running deployment', () => {
    expect(admit(say({ replyTo: 'orders' }), know(active(ORDER))).do).toBe('refuse');
  });
});

/**
 * An instance that carries out what `admit` decides, with the pure functions of the state, as the worker does. Between
 * two announcements its deployments begin, move on and end at random.
 */
class Instance {
  state = fresh();
  /** How many endings each deployment had. */
  readonly endings = new Map<string, Ending[]>();

  hear(said: Announcement): Decision {
    const decision = admit(said, know(this.state));
    switch (decision.do) {
      case 'accept':
        this.#accept(decision.order);
        break;
      case 'proceed':
        this.#proceed(said.deployment);
        break;
      case 'raise':
        this.state = withSequence(this.state, decision.sequence, said.deployment);
        break;
      case 'end':
        this.#never(decision.order, decision.ending);
        break;
      case 'cancel':
        this.#cancel(said.deployment);
        break;
    }
    return decision;
  }

  /** The next random event; `ending` if it is an ending. */
  goOn(ending: Ending): void {
    const { active: now, waiting } = this.state;
    if (!now) {
      if (waiting) this.state = started(this.state, { bootId: 'b', now: NOW });
      return;
    }
    const next = PROGRESS_STATES[PROGRESS_STATES.indexOf(now.state) + 1];
    if (next === undefined) this.#finish(ending);
    else if (now.state !== 'prepared' || !now.order.hold)
      this.state = withActive(this.state, { state: next });
  }

  #accept(order: Order) {
    this.state = withSequence(this.state, order.sequence, order.deployment);
    if (this.state.waiting) this.#never(this.state.waiting, 'superseded');
    this.state = withWaiting(this.state, order);
    if (this.state.active && beforeSwitch(this.state.active)) this.#finish('superseded');
  }

  #proceed(deployment: string) {
    const { active: now, waiting } = this.state;
    if (now?.order.deployment === deployment)
      this.state = withActive(this.state, { order: { ...now.order, hold: false } });
    else if (waiting?.deployment === deployment)
      this.state = withWaiting(this.state, { ...waiting, hold: false });
  }

  #cancel(deployment: string) {
    this.state = withTombstone(this.state, deployment);
    const { active: now, waiting } = this.state;
    if (waiting?.deployment === deployment) {
      this.state = { ...this.state, waiting: null };
      this.#never(waiting, 'cancelled');
    }
    if (now?.order.deployment === deployment && beforeSwitch(now)) this.#finish('cancelled');
  }

  #never(order: Order, ending: Ending) {
    this.state = withEnding(this.state, reportOf(order, ending), order.replyTo);
    this.#count(order, ending);
  }

  #finish(ending: Ending) {
    const order = this.state.active?.order;
    if (!order) throw new Error('nothing is active');
    this.state = withActiveEnded(this.state, ending, reportOf(order, ending));
    this.#count(order, ending);
  }

  #count({ deployment }: Order, ending: Ending) {
    this.endings.set(deployment, [...(this.endings.get(deployment) ?? []), ending]);
  }
}

describe('random announcements, in any order, some of them repeatedly', () => {
  const DEPLOYMENTS = Array.from({ length: 8 }, (_, n) => id(100 + n));
  /** Deployment n has its own sequence, except two that have the same one. */
  const sequenceOf = (n: number) => (n === 7 ? 5 : n);
  const heard = fc.record({
    n: fc.integer({ min: 1, max: 7 }),
    kind: fc.oneof({ weight: 3, arbitrary: fc.constant('deploy' as const) }, fc.constantFrom(...KINDS)),
    aim: fc.constantFrom('all', 'all', 'us', 'others'),
    late: fc.constantFrom(false, false, false, true),
    env: fc.constantFrom('dev', 'dev', 'dev', 'dev', 'prd'),
    replyTo: fc.constantFrom(undefined, undefined, REPLY_TO, 'orders'),
  });
  const goesOn = fc.record({
    ending: fc.constantFrom<Ending>('succeeded', 'failed', 'rolled-back', 'broken'),
    steps: fc.integer({ min: 1, max: 9 }),
  });
  const life = fc.array(fc.oneof({ weight: 3, arbitrary: heard }, { weight: 1, arbitrary: goesOn }), {
    maxLength: 60,
    size: 'max',
  });

  type Heard = typeof heard extends fc.Arbitrary<infer T> ? T : never;

  const sayAnew = ({ n, kind, aim, late, env, replyTo }: Heard) =>
    say({
      kind,
      deployment: DEPLOYMENTS[n],
      sequence: sequenceOf(n),
      version: `1.0.${n}`,
      env,
      ...(replyTo === undefined ? {} : { replyTo }),
      ...(aim === 'all' ? {} : { targets: aim === 'us' ? ['i-1'] : ['i-2'] }),
      ...(late ? EXPIRED : {}),
    });
  const parsed = new Map<string, Announcement>();
  const sayHeard = (how: Heard): Announcement => {
    const key = JSON.stringify(how);
    const said = parsed.get(key) ?? sayAnew(how);
    parsed.set(key, said);
    return said;
  };

  /** Runs each generated sequence, and checks after each announcement. */
  const always = (
    check: (
      was: ServiceState,
      said: Announcement,
      decision: Decision,
      instance: Instance,
      how: Heard,
    ) => void,
  ) => {
    fc.assert(
      fc.property(life, (events) => {
        const instance = new Instance();
        for (const event of events) {
          if ('steps' in event) {
            for (let i = 0; i < event.steps; i += 1) instance.goOn(event.ending);
            continue;
          }
          const was = instance.state;
          const said = sayHeard(event);
          check(was, said, instance.hear(said), instance, event);
        }
      }),
      { numRuns: 200 },
    );
  };
  const sequenceIn = (said: Announcement) => ('sequence' in said ? Number(said.sequence) : 0);

  test('the sequence seen never decreases', () => {
    always((was, _said, _decision, { state }) => {
      expect(state.seen?.sequence ?? 0).toBeGreaterThanOrEqual(was.seen?.sequence ?? 0);
    });
  });

  test('no deployment older than the sequence seen begins or proceeds', () => {
    always((was, said, decision) => {
      if (decision.do !== 'accept' && decision.do !== 'proceed') return;
      expect(sequenceIn(said)).toBeGreaterThanOrEqual(was.seen?.sequence ?? 0);
    });
  });

  test('a sequence that was seen belongs to one deployment: no other is accepted with it', () => {
    always((was, said, decision) => {
      if (was.seen === null || sequenceIn(said) !== was.seen.sequence) return;
      if (said.deployment === was.seen.deployment) return;
      expect(['accept', 'proceed', 'raise']).not.toContain(decision.do);
    });
  });

  test('an expired announcement begins, raises and cancels nothing', () => {
    always((was, _said, decision, { state }, { late }) => {
      if (!late) return;
      expect(['accept', 'proceed', 'raise', 'cancel', 'converge', 'answer-roll-call']).not.toContain(
        decision.do,
      );
      expect({ ...state, endings: [], over: [], outbox: [] }).toEqual({
        ...was,
        endings: [],
        over: [],
        outbox: [],
      });
    });
  });

  test('what is for other instances raises the sequence seen, and nothing else', () => {
    always((was, _said, decision, { state }, { aim }) => {
      if (aim !== 'others') return;
      expect(['ignore', 'raise', 'refuse']).toContain(decision.do);
      expect({ ...state, seen: null, pinned: null }).toEqual({ ...was, seen: null, pinned: null });
    });
  });

  test('an announcement for another environment, or with a foreign reply queue, changes nothing', () => {
    always((was, _said, decision, { state }, { env, replyTo }) => {
      if (env === 'dev' && replyTo !== 'orders') return;
      expect(decision.do).toBe('refuse');
      expect(state).toBe(was);
    });
  });

  test('a deployment that was cancelled before it began never begins', () => {
    always((was, said, decision) => {
      if (was.tombstones.includes(said.deployment)) expect(decision.do).not.toBe('accept');
    });
  });

  test('a deploy whose cancel arrived first ends cancelled, unless it is expired or outdated', () => {
    always((was, said, decision, _instance, { kind, aim, late }) => {
      if (kind !== 'deploy' && kind !== 'prepare') return;
      if (!was.tombstones.includes(said.deployment) || decision.do === 'refuse') return;
      const known = [was.active?.order, was.waiting].some((order) => order?.deployment === said.deployment);
      if (aim === 'others' || late || known || endingOf(was, said.deployment)) return;
      if (was.seen && sequenceIn(said) < was.seen.sequence) return;
      if (was.seen?.sequence === sequenceIn(said) && was.seen.deployment !== said.deployment) return;
      expect(decision).toMatchObject({ do: 'end', ending: 'cancelled' });
    });
  });

  test('each deployment has at most one ending', () => {
    always((_was, said, _decision, { endings }) => {
      expect(endings.get(said.deployment)?.length ?? 0).toBeLessThanOrEqual(1);
    });
  });

  test('an ended deployment is answered with its ending, and changes nothing', () => {
    always((was, said, decision, { state }, { kind, aim, env, replyTo }) => {
      if (kind !== 'deploy' && kind !== 'prepare') return;
      if (aim === 'others' || env !== 'dev' || replyTo === 'orders' || !endingOf(was, said.deployment))
        return;
      expect(decision).toEqual({ do: 'repeat' });
      expect(state).toBe(was);
    });
  });

  test('an announcement delivered twice in a row is not accepted twice', () => {
    always((_was, said, decision, instance) => {
      if (decision.do !== 'accept' && decision.do !== 'proceed') return;
      const before = instance.state;
      expect(instance.hear(said)).toEqual({ do: 'repeat' });
      expect(instance.state).toBe(before);
    });
  });

  test('admit never changes the state in place', () => {
    always((was, said) => {
      const copy = structuredClone(was);
      admit(said, know(was));
      expect(was).toEqual(copy);
    });
  });

  test('every kind of decision occurs in these sequences', () => {
    const met = new Set<string>();
    always((_was, _said, decision) => {
      met.add(decision.do === 'end' ? `end ${decision.code}` : decision.do);
    });
    expect([...met].sort()).toEqual([
      'accept',
      'answer-roll-call',
      'cancel',
      'converge',
      'end CANCELLED',
      'end CONFLICT',
      'end EXPIRED',
      'end SUPERSEDED',
      'ignore',
      'proceed',
      'raise',
      'refuse',
      'repeat',
    ]);
  });
});
