import { expect, test } from 'vitest';
import { beginSpan, collectSpans, type Span, timeSpan } from '../../../shared/spans.ts';

/** A collector with a clock that is set by hand. */
function collector() {
  const spent: [Span, number][] = [];
  const clock = { at: 0 };
  return { clock, spent, now: () => clock.at, add: spent };
}

const collecting = <T>(to: ReturnType<typeof collector>, work: () => T) =>
  collectSpans({ now: to.now, spent: (span, ms) => to.spent.push([span, ms]) }, work);

test('a span that is measured deep below a step reaches the collector of that step, and of no other', async () => {
  const [one, other] = [collector(), collector()];
  const work = async (to: typeof one, ms: number) => {
    await Promise.resolve();
    await timeSpan('download', async () => {
      await Promise.resolve();
      to.clock.at += ms;
    });
  };
  await Promise.all([collecting(one, () => work(one, 5)), collecting(other, () => work(other, 7))]);
  expect(one.spent).toEqual([['download', 5]]);
  expect(other.spent).toEqual([['download', 7]]);
});

test('work that fails has its time, too', async () => {
  const to = collector();
  const failing = async () => {
    to.clock.at = 3;
    throw new Error('broken');
  };
  await expect(collecting(to, () => timeSpan('unpack', failing))).rejects.toThrow('broken');
  expect(to.spent).toEqual([['unpack', 3]]);
});

test('a span ends once, however often its end is called', () => {
  const to = collector();
  const end = collecting(to, () => beginSpan('stop'));
  to.clock.at = 4;
  end();
  to.clock.at = 9;
  end();
  expect(to.spent).toEqual([['stop', 4]]);
});

test('outside of a step nothing is measured', async () => {
  await expect(timeSpan('sync', async () => 'done')).resolves.toBe('done');
});
