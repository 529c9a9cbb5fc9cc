import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  aheadOf,
  deadIn,
  dequeue,
  enqueue,
  type Observations,
  observe,
  type Queue,
  type QueueEntry,
  withHeartbeat,
  withoutDead,
} from '../../../../publisher/queue/queue.ts';
import { HEARTBEAT_MS, STALE_MS } from '../../../../publisher/record/lock-document.ts';

/** Publishers that join, jump, leave and die at any moment, each with its own clock. */

const STEP_MS = 5000;

const step = fc.record({
  does: fc.constantFrom('join', 'join', 'jump', 'leave', 'die', 'nothing', 'nothing', 'served'),
  /** Which live publisher does it. */
  who: fc.nat(20),
  /** Steps that pass afterwards. */
  passing: fc.integer({ min: 0, max: 6 }),
  /** In which order the live publishers then read the queue. */
  order: fc.nat(1000),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Publisher {
  id: string;
  clockAhead: number;
  lastBeat: number;
  observations: Observations;
}

interface World {
  queue: Queue;
  alive: Map<string, Publisher>;
  now: number;
}

/** Called after each change: the queue before, who jumped in it, the world after. */
type Watch = (before: Queue, jumper: string | undefined, world: World) => void;

function play(steps: readonly Step[], watch: Watch): World {
  const world: World = { queue: [], alive: new Map(), now: 0 };
  const { alive } = world;
  const change = (make: (queue: Queue) => Queue, jumper?: string) => {
    const before = world.queue;
    world.queue = make(before);
    watch(before, jumper, world);
  };
  const clockOf = (one: Publisher) => world.now + one.clockAhead;
  const look = (one: Publisher) => {
    const now = clockOf(one);
    one.observations = observe(one.observations, world.queue, now);
    const dead = deadIn(one.observations, { now, staleMs: STALE_MS, self: one.id });
    const isDue = now - one.lastBeat >= HEARTBEAT_MS;
    if (!isDue && dead.size === 0) return;
    change((queue) => withHeartbeat(withoutDead(queue, dead), one.id));
    one.lastBeat = now;
  };
  let born = 0;
  for (const { does, who, passing, order } of steps) {
    const some = [...alive.values()][who % Math.max(1, alive.size)];
    if (does === 'join' || does === 'jump') {
      born += 1;
      const id = `w${born}`;
      const one = { id, clockAhead: who * 1e6, lastBeat: world.now + who * 1e6, observations: new Map() };
      alive.set(id, one);
      change((queue) => enqueue(queue, entry(id, does === 'jump')), does === 'jump' ? id : undefined);
    } else if (does === 'served') {
      const [first] = world.queue;
      if (first && alive.delete(first.id)) change((queue) => dequeue(queue, first.id));
    } else if (some && does === 'leave') {
      alive.delete(some.id);
      change((queue) => dequeue(queue, some.id));
    } else if (some && does === 'die') {
      alive.delete(some.id);
    }
    for (let i = 0; i < passing; i += 1) {
      world.now += STEP_MS;
      const all = [...alive.values()];
      const first = order % Math.max(1, all.length);
      for (const one of [...all.slice(first), ...all.slice(0, first)]) look(one);
    }
  }
  return world;
}

const entry = (id: string, jumps = false): QueueEntry => ({
  ...{
    id,
    who: `${id}@ci`,
    host: 'ci',
    pid: 1,
    command: 'deploy',
    since: new Date(0).toISOString(),
    beat: 0,
  },
  ...(jumps ? { jumped: 'a hotfix' } : {}),
});
const idsOf = (queue: Queue) => queue.map(({ id }) => id);
const check = (property: (steps: Step[]) => void) =>
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), property), { numRuns: 500 });

describe('a queue, in any order of joining, jumping, leaving and dying', () => {
  test('keeps every live publisher, each once', () => {
    check((steps) => {
      play(steps, (_before, _jumper, { queue, alive }) => {
        const ids = idsOf(queue);
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of alive.keys()) expect(ids).toContain(id);
      });
    });
  });

  test('keeps its order, except that a publisher that jumps is first', () => {
    check((steps) => {
      play(steps, (before, jumper, { queue }) => {
        const stayed = idsOf(queue).filter((id) => before.some((one) => one.id === id));
        expect(stayed).toEqual(idsOf(before).filter((id) => stayed.includes(id)));
        if (jumper !== undefined) expect(queue[0]?.id).toBe(jumper);
        const [fresh] = queue.filter((one) => !before.some(({ id }) => id === one.id));
        if (fresh && jumper === undefined) expect(queue.at(-1)).toBe(fresh);
      });
    });
  });

  test('has exactly one entry at the front unless it is empty', () => {
    check((steps) => {
      const { queue, alive } = play(steps, () => undefined);
      const first = queue.filter(({ id }) => aheadOf(queue, id)?.length === 0);
      expect(first).toHaveLength(Math.min(1, queue.length));
      for (const id of alive.keys()) expect(aheadOf(queue, id)).toBeDefined();
    });
  });

  test('has no dead entry little more than a minute later, if a live publisher reads it', () => {
    const calm = { who: 0, order: 0 };
    const minuteAndMore = Math.ceil((STALE_MS + HEARTBEAT_MS) / STEP_MS) + 1;
    check((steps) => {
      const { queue, alive } = play(
        [
          ...steps,
          { ...calm, does: 'join', passing: 0 },
          { ...calm, does: 'nothing', passing: minuteAndMore },
        ],
        () => undefined,
      );
      expect(idsOf(queue).toSorted()).toEqual([...alive.keys()].toSorted());
    });
  });
});

test('an entry that is in the queue already keeps its place', () => {
  const queue = enqueue(enqueue([], entry('a')), entry('b'));
  expect(enqueue(queue, entry('a', true))).toBe(queue);
  expect(aheadOf(queue, 'c')).toBeUndefined();
});
