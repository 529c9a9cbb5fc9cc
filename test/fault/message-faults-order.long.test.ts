import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { type LiveWorld, startLiveWorld } from './support/fleet/live-world.ts';
import { DEPLOYMENTS, life, live } from './support/fleet/order-life.ts';

/** As message-faults-order.test.ts, and each time other lives: a failure names its seed. */

const LIVES = 15;

let world: LiveWorld;

beforeAll(async () => {
  world = await startLiveWorld({ versions: DEPLOYMENTS });
});
afterAll(() => world?.stop());

test('many more lives end as the highest valid sequence asks', async () => {
  let lives = 0;
  await fc.assert(
    fc.asyncProperty(life, async (events) => {
      lives += 1;
      expect(await live(world, `i-0${lives}`, events)).toEqual([]);
    }),
    { numRuns: LIVES, endOnFailure: true },
  );
  proved('order', `${LIVES} lives, others each time`);
});
