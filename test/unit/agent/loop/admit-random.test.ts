import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endingOf, type ServiceState } from '../../../../agent/deploy/state.ts';
import { admit, type Decision } from '../../../../agent/loop/admit.ts';
import type { Announcement } from '../../../../shared/announcement.ts';
import type { Ending } from '../../../../shared/states.ts';
import { EXPIRED, id, KINDS, know, REPLY_TO, say } from '../../../support/agent/admit-fixture.ts';
import { Instance } from '../../../support/agent/admit-instance.ts';

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
    seed?: number,
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
      { numRuns: 200, ...(seed !== undefined && { seed }) },
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
    // Always the same sequences: among other ones, the rarest decision is missing now and then.
    const met = new Set<string>();
    always((_was, _said, decision) => {
      met.add(decision.do === 'end' ? `end ${decision.code}` : decision.do);
    }, 1);
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
