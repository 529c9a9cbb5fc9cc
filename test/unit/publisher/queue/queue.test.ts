import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  aheadOf,
  beat,
  deadIn,
  dropDead,
  join,
  type Line,
  leave,
  type Sightings,
  sighted,
  type Waiting,
} from '../../../../publisher/queue/queue.ts';
import { HEARTBEAT_MS, STALE_MS } from '../../../../publisher/record/lock.ts';

/** Publishers that join, jump, leave and die at any moment, each with a clock of its own that nobody else can read. */

const STEP_MS = 5000;

const step = fc.record({
  does: fc.constantFrom('join', 'join', 'jump', 'leave', 'die', 'nothing', 'nothing', 'served'),
  /** Which of those alive does it. */
  who: fc.nat(20),
  /** Steps that pass afterwards. */
  passing: fc.integer({ min: 0, max: 6 }),
  /** In which order those alive then look. */
  order: fc.nat(1000),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Publisher {
  id: string;
  clockAhead: number;
  lastBeat: number;
  sightings: Sightings;
}

interface World {
  line: Line;
  alive: Map<string, Publisher>;
  now: number;
}

/** Told of each change: the line before, who jumped with it, the line after. */
type Watch = (before: Line, jumper: string | undefined, world: World) => void;

function play(steps: readonly Step[], watch: Watch): World {
  const world: World = { line: [], alive: new Map(), now: 0 };
  const { alive } = world;
  const change = (make: (line: Line) => Line, jumper?: string) => {
    const before = world.line;
    world.line = make(before);
    watch(before, jumper, world);
  };
  const clockOf = (one: Publisher) => world.now + one.clockAhead;
  const look = (one: Publisher) => {
    const now = clockOf(one);
    one.sightings = sighted(one.sightings, world.line, now);
    const dead = deadIn(one.sightings, { now, staleMs: STALE_MS, self: one.id });
    const isDue = now - one.lastBeat >= HEARTBEAT_MS;
    if (!isDue && dead.size === 0) return;
    change((line) => beat(dropDead(line, dead), one.id));
    one.lastBeat = now;
  };
  let born = 0;
  for (const { does, who, passing, order } of steps) {
    const some = [...alive.values()][who % Math.max(1, alive.size)];
    if (does === 'join' || does === 'jump') {
      born += 1;
      const id = `w${born}`;
      const one = { id, clockAhead: who * 1e6, lastBeat: world.now + who * 1e6, sightings: new Map() };
      alive.set(id, one);
      change((line) => join(line, waiting(id, does === 'jump')), does === 'jump' ? id : undefined);
    } else if (does === 'served') {
      const [first] = world.line;
      if (first && alive.delete(first.id)) change((line) => leave(line, first.id));
    } else if (some && does === 'leave') {
      alive.delete(some.id);
      change((line) => leave(line, some.id));
    } else if (some && does === 'die') {
      alive.delete(some.id);
    }
    for (let i = 0; i < passing; i += 1) {
      world.now += STEP_MS;
      const all = [...alive.values()];
      const turn = order % Math.max(1, all.length);
      for (const one of [...all.slice(turn), ...all.slice(0, turn)]) look(one);
    }
  }
  return world;
}

const waiting = (id: string, jumps = false): Waiting => ({
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
const idsOf = (line: Line) => line.map(({ id }) => id);
const check = (property: (steps: Step[]) => void) =>
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), property), { numRuns: 500 });

describe('a line, in any order of joining, jumping, leaving and dying', () => {
  test('loses nobody who lives, and has nobody twice', () => {
    check((steps) => {
      play(steps, (_before, _jumper, { line, alive }) => {
        const ids = idsOf(line);
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of alive.keys()) expect(ids).toContain(id);
      });
    });
  });

  test('lets nobody overtake but who jumps, and who jumps is first', () => {
    check((steps) => {
      play(steps, (before, jumper, { line }) => {
        const stayed = idsOf(line).filter((id) => before.some((one) => one.id === id));
        expect(stayed).toEqual(idsOf(before).filter((id) => stayed.includes(id)));
        if (jumper !== undefined) expect(line[0]?.id).toBe(jumper);
        const [fresh] = line.filter((one) => !before.some(({ id }) => id === one.id));
        if (fresh && jumper === undefined) expect(line.at(-1)).toBe(fresh);
      });
    });
  });

  test('has exactly one at the front as long as anybody waits', () => {
    check((steps) => {
      const { line, alive } = play(steps, () => undefined);
      const first = line.filter(({ id }) => aheadOf(line, id)?.length === 0);
      expect(first).toHaveLength(Math.min(1, line.length));
      for (const id of alive.keys()) expect(aheadOf(line, id)).toBeDefined();
    });
  });

  test('is rid of all the dead a little more than a minute later, if anybody still looks', () => {
    const calm = { who: 0, order: 0 };
    const minuteAndMore = Math.ceil((STALE_MS + HEARTBEAT_MS) / STEP_MS) + 1;
    check((steps) => {
      const { line, alive } = play(
        [
          ...steps,
          { ...calm, does: 'join', passing: 0 },
          { ...calm, does: 'nothing', passing: minuteAndMore },
        ],
        () => undefined,
      );
      expect(idsOf(line).toSorted()).toEqual([...alive.keys()].toSorted());
    });
  });
});

test('whoever stands in a line already keeps the place', () => {
  const line = join(join([], waiting('a')), waiting('b'));
  expect(join(line, waiting('a', true))).toBe(line);
  expect(aheadOf(line, 'c')).toBeUndefined();
});
