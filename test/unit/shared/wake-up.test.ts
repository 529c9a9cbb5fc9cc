import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createWakeUp } from '../../../shared/wake-up.ts';
import { heldClock } from '../../support/host/clock.ts';

const never = () => new AbortController().signal;
const settled = async (promise: Promise<void>) => {
  let done = false;
  promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
};

describe('a wait', () => {
  test('ends with the next wake-up, for everyone who waits', async () => {
    const wakeUp = createWakeUp();
    const waits = [wakeUp.wait(never()), wakeUp.wait(never())];
    expect(await settled(Promise.all(waits).then(() => undefined))).toBe(false);
    wakeUp.wake();
    await Promise.all(waits);
  });

  test('ends at once after a wake-up that came while nothing waited, and only the first one does', async () => {
    const wakeUp = createWakeUp();
    wakeUp.wake();
    wakeUp.wake();
    await wakeUp.wait(never());
    expect(await settled(wakeUp.wait(never()))).toBe(false);
  });

  test('does not end by a wake-up that was cleared', async () => {
    const wakeUp = createWakeUp();
    wakeUp.wake();
    wakeUp.clear();
    expect(await settled(wakeUp.wait(never()))).toBe(false);
  });

  test('ends when the signal aborts, before it or during it, without an error', async () => {
    const wakeUp = createWakeUp();
    await wakeUp.wait(AbortSignal.abort(new Error('stop')));
    const controller = new AbortController();
    const wait = wakeUp.wait(controller.signal);
    controller.abort(new Error('stop'));
    await wait;
  });

  test('ends when its time is over', async () => {
    const { clock, putForward } = heldClock();
    const wait = createWakeUp().wait(never(), { clock, ms: 500 });
    await putForward(499);
    expect(await settled(wait)).toBe(false);
    await putForward(1);
    await wait;
  });

  test('leaves no listener and no timer behind', async () => {
    const wakeUp = createWakeUp();
    const { signal } = new AbortController();
    let sleeping = 0;
    const clock = {
      sleep: (_ms: number, over: AbortSignal) => {
        sleeping += 1;
        over.addEventListener('abort', () => {
          sleeping -= 1;
        });
        return new Promise<void>(() => undefined);
      },
    };
    const wait = wakeUp.wait(signal, { clock, ms: 1000 });
    wakeUp.wake();
    await wait;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(sleeping).toBe(0);
  });
});
