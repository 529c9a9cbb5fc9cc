import { expect, test } from 'vitest';
import { askSystemd, tellSystemd, UNANSWERED_FOR_MS } from '../../../../../agent/host/process/systemctl.ts';
import { calm, sleepingClock } from '../../../../support/host/clock.ts';

/** A systemctl whose first `failures` calls fail with `words`, on a clock that only sleeping moves. */
function systemctl(failures: number, words: string) {
  const clock = sleepingClock();
  const made = { calls: 0 };
  const run = async () => {
    made.calls += 1;
    return made.calls <= failures
      ? { exitCode: 1, timedOut: false, output: words, stdout: '' }
      : { exitCode: 0, timedOut: false, output: '', stdout: 'Id=pay.service\n' };
  };
  return { clock, made, options: { signal: calm, clock, run } };
}

const ASK = ['systemctl', 'show', 'pay.service'];
const TELL = ['systemctl', 'restart', 'pay.service'];
/** As systemd 247 to 257 say it while they execute themselves anew, to root and to another user. */
const CUT = [
  'Failed to get properties: Message recipient disconnected from message bus without replying',
  'Failed to get properties: Connection reset by peer',
  'Failed to get properties: Transport endpoint is not connected',
  'Failed to connect to bus: No such file or directory',
  'Failed to connect to system scope bus via local transport: Connection refused',
  "Failed to start unit: Failed to activate service 'org.freedesktop.systemd1': timed out",
  'Failed to get properties: Remote peer disconnected',
  'Failed to read reply: Broken pipe',
];

test.each(CUT)('a query whose connection is cut is asked again: %s', async (words) => {
  const { options, made } = systemctl(20, words);
  expect(await askSystemd(ASK, options)).toMatchObject({ exitCode: 0, stdout: 'Id=pay.service\n' });
  expect(made.calls).toBe(21);
});

test('a systemd that never answers is asked for half a minute', async () => {
  const { options, clock } = systemctl(10_000, CUT[0] as string);
  expect(await askSystemd(ASK, options)).toMatchObject({ exitCode: 1 });
  expect(clock.monotonic()).toBe(UNANSWERED_FOR_MS);
});

test.each([
  'System has not been booted with systemd as init system (PID 1). Cannot operate.\nFailed to connect to bus: Host is down',
  'Failed to restart pay.service: Unit pay.service is masked.',
  'Failed to restart pay.service: Operation refused, unit pay.service may be requested by dependency only.',
])('an order that cannot succeed is refused at once: %s', async (words) => {
  const { options, clock, made } = systemctl(10_000, words);
  expect(await tellSystemd(TELL, { ...options, isDone: async () => true })).toMatchObject({ exitCode: 1 });
  expect([clock.monotonic(), made.calls]).toEqual([0, 1]);
});

test('an order that fails for an unknown reason is given again for 2 s', async () => {
  const { options, clock } = systemctl(10_000, 'Failed to restart pay.service: Access denied');
  expect(await tellSystemd(TELL, options)).toMatchObject({ exitCode: 1 });
  expect(clock.monotonic()).toBe(2000);
});

test('an order is not given again where the unit shows that it had its effect', async () => {
  const { options, made } = systemctl(10_000, CUT[0] as string);
  let looks = 0;
  const isDone = async () => {
    looks += 1;
    return looks === 3;
  };
  expect(await tellSystemd(TELL, { ...options, isDone })).toBeUndefined();
  expect(made.calls).toBe(3);
});
