import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { type LiveWorld, startLiveWorld } from './support/fleet/live-world.ts';
import { DEPLOYMENTS, type Event, life, live } from './support/fleet/order-life.ts';

/** Announcements as a standard queue may bring them: twice, late, in any order, across restarts of the agent. */

/** Any seed works; a fixed one gives the same figures each time. message-faults.long.test.ts takes others. */
const SEED = 20_250_131;
const LIVES = 20;

let world: LiveWorld;

beforeAll(async () => {
  world = await startLiveWorld({ versions: DEPLOYMENTS });
});
afterAll(() => world?.stop());

const sent = (events: readonly Event[]) =>
  events.reduce(
    (sum, event) => sum + (typeof event === 'string' ? 0 : 'again' in event ? 1 : event.copies),
    0,
  );

test('whatever comes, in whatever order and however often, it ends as the highest valid sequence asks', async () => {
  let lives = 0;
  let messages = 0;
  let restarts = 0;
  await fc.assert(
    fc.asyncProperty(life, async (events) => {
      lives += 1;
      messages += 2 * sent(events);
      restarts += 1 + events.filter((event) => event === 'restart').length;
      expect(await live(world, `i-0${lives}`, events)).toEqual([]);
    }),
    { numRuns: LIVES, seed: SEED, endOnFailure: true },
  );
  const figure = `${lives} lives, ${messages} messages, ${restarts} restarts`;
  proved('order', figure);
  proved('duplicate', figure);
});
