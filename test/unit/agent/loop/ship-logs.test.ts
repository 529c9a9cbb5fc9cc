import { expect, onTestFinished, test, vi } from 'vitest';
import { shipLogs } from '../../../../agent/loop/ship-logs.ts';
import { silentLog } from '../../../../shared/log.ts';
import { heldClock } from '../../../support/host/clock.ts';

const MINUTE = 60_000;

function loopOf(round: (all: boolean) => boolean | Error, every = 60 * MINUTE) {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const { clock, putForward } = heldClock(4);
  const rounds: { all: boolean; minute: number }[] = [];
  const stopping = new AbortController();
  const logs = {
    ...{ service: 'payments', every },
    async round(all: boolean) {
      rounds.push({ all, minute: Math.round((clock.monotonic() / MINUTE) * 10) / 10 });
      const answer = round(all);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const ended = shipLogs({ clock, log: silentLog() }, [logs], stopping.signal);
  onTestFinished(async () => {
    stopping.abort(new Error('stopped'));
    await ended;
    vi.restoreAllMocks();
  });
  return { rounds, putForward };
}

test('everything is uploaded a minute after the start and then on schedule; rotated files are looked for each minute', async () => {
  const { rounds, putForward } = loopOf(() => true);
  await putForward(122 * MINUTE);
  expect(rounds).toHaveLength(122);
  expect(rounds.filter(({ all }) => all).map(({ minute }) => minute)).toEqual([1, 61, 121]);
});

test('a schedule of less than a minute is kept', async () => {
  const { rounds, putForward } = loopOf(() => true, MINUTE / 6);
  await putForward(MINUTE);
  expect(rounds.filter(({ all }) => all)).toHaveLength(6);
});

test('a round that could not be done is due again after 5 s', async () => {
  let isBusy = true;
  const { rounds, putForward } = loopOf(() => !isBusy);
  await putForward(1.2 * MINUTE);
  isBusy = false;
  await putForward(MINUTE);
  expect(rounds.filter(({ all }) => all)).toHaveLength(4);
});

test('a round that fails is repeated with backoff', async () => {
  const { rounds, putForward } = loopOf(() => new Error('AccessDenied'));
  await putForward(60 * MINUTE);
  expect(rounds.length).toBeGreaterThan(50);
  expect(rounds.length).toBeLessThan(120);
});
