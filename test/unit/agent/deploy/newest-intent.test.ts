import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Order } from '../../../../agent/deploy/state.ts';
import { isEnding } from '../../../../shared/states.ts';
import { createFakePorts, modelRunning, orderOf, serviceConfig } from '../../../support/fleet/fake-ports.ts';
import { openOnHeldClock } from '../../../support/fleet/hanging.ts';
import { proved } from '../../../support/reliability.ts';

/** Random intents against preparations that hang, answer late, ignore an abort, or fail. */

const RUNS = 150;
/** A preparation that hangs with nothing newer is left after this time, ms; the others after seconds. */
const STALLED_AFTER = 60 * 60_000;
const SECONDS = 30_000;

const prepareOf = fc.oneof(
  { weight: 2, arbitrary: fc.constant('hangs' as const) },
  { weight: 2, arbitrary: fc.constant('works' as const) },
  fc.constant('fails' as const),
  fc.integer({ min: 1, max: 120_000 }),
);
const intent = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('announce' as const), prepare: prepareOf, hold: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('local' as const), prepare: prepareOf }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), nth: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('proceed' as const), nth: fc.nat(20) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
  },
);

test('whatever hangs, the newest intent ends in bounded time, every other within seconds, and each once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(intent, { minLength: 1, maxLength: 14 }), async (intents) => {
      const model = modelRunning('1.0.0');
      const ports = createFakePorts(model);
      const late = new Map<string, 'hangs' | 'works' | 'fails' | number>();
      const { prepare } = ports.package;
      const { worker, clock, putForward, stop } = await openOnHeldClock(serviceConfig(), ports);
      ports.package.prepare = async (order, note, _signal) => {
        const how = late.get(order.version) ?? 'works';
        if (how === 'hangs') await new Promise(() => {});
        if (typeof how === 'number') await clock.sleep(how, new AbortController().signal);
        if (how === 'fails') model.unavailable.add(order.version);
        // Late, and deaf to the abort: as a library that is given no signal.
        return await prepare(order, note, new AbortController().signal);
      };
      const given: Order[] = [];
      const give = async (order: Order, how: 'hangs' | 'works' | 'fails' | number) => {
        late.set(order.version, how);
        given.push(order);
        await worker.accept(order);
      };
      for (const one of intents) {
        const version = `2.0.${given.length}`;
        if (one.do === 'announce') await give(orderOf(version, { hold: one.hold }), one.prepare);
        if (one.do === 'local') {
          const sequence = worker.state().seen?.sequence ?? 0;
          await give(orderOf(version, { source: 'local', sequence }), one.prepare);
        }
        const named = 'nth' in one ? given[one.nth % Math.max(1, given.length)] : undefined;
        if (one.do === 'cancel' && named) await worker.cancel(named.deployment);
        if (one.do === 'proceed' && named) await worker.proceed(named.deployment, undefined);
        if (one.do === 'wait') await putForward(one.ms);
      }
      const endings = () => model.delivered.filter(({ state }) => isEnding(state));
      const newest = given.at(-1);
      await putForward(SECONDS);
      for (const { deployment } of given.slice(0, -1)) {
        expect(endings().filter((one) => one.deployment === deployment)).toHaveLength(1);
      }
      // One that is prepared and held waits for its publisher.
      if (newest) await worker.proceed(newest.deployment, undefined);
      await putForward(STALLED_AFTER + SECONDS);
      for (const { deployment } of given) {
        expect(endings().filter((one) => one.deployment === deployment)).toHaveLength(1);
      }
      const succeeded = endings().filter(({ state }) => state === 'succeeded');
      expect(model.current).toBe(succeeded.at(-1)?.version ?? '1.0.0');
      expect(model.starts).toEqual(succeeded.map(({ version }) => version));
      const { active, waiting } = worker.state();
      expect([active, waiting]).toEqual([null, null]);
      await stop();
    }),
    { numRuns: RUNS },
  );
  proved(
    'hang',
    `${RUNS} random courses of announcements, cancels and local orders against hanging preparations`,
  );
});
