import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSystemdNotifier } from '../../../../../agent/host/system/systemd-notify.ts';
import { programsOnPath } from '../../../../support/host/temporary.ts';

async function withRecorder() {
  const directory = await programsOnPath({
    'systemd-notify': `echo "$NOTIFY_SOCKET $*" >> "$(dirname "$0")/said"`,
  });
  const environment = { PATH: `${directory}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/systemd/notify' };
  return { environment, said: () => readFile(join(directory, 'said'), 'utf8').catch(() => '') };
}

test('systemd gets the messages in order on its socket', async () => {
  const { environment, said } = await withRecorder();
  const notifier = createSystemdNotifier(environment);
  notifier.status('starting\n\u001b[31mred');
  await notifier.ready();
  notifier.watchdog();
  notifier.stopping();
  await notifier.ready();
  expect(await said()).toBe(
    ['STATUS=starting red', 'READY=1', 'WATCHDOG=1', 'STOPPING=1', 'READY=1', '']
      .map((line) => (line ? `/run/systemd/notify ${line}` : line))
      .join('\n'),
  );
});

test('of many status lines in quick succession the last one is sent, and the queue stays short', async () => {
  const { environment, said } = await withRecorder();
  const notifier = createSystemdNotifier(environment);
  for (let n = 0; n < 100; n += 1) notifier.status(`line ${n}`);
  await notifier.ready();
  const lines = (await said()).trim().split('\n');
  expect(lines.length).toBeLessThanOrEqual(3);
  expect(lines.at(-2)).toContain('STATUS=line 99');
});

test('without a socket no command runs', async () => {
  const { environment, said } = await withRecorder();
  const notifier = createSystemdNotifier({
    ...environment,
    NOTIFY_SOCKET: undefined,
    WATCHDOG_USEC: '30000000',
  });
  await notifier.ready();
  notifier.status('x');
  expect(await said()).toBe('');
  expect(notifier.watchdogMs).toBeUndefined();
});

test('a missing systemd-notify has no effect', async () => {
  await createSystemdNotifier({ PATH: '/nowhere', NOTIFY_SOCKET: '/run/x' }).ready();
});

test('the watchdog is in milliseconds, and only for this process', () => {
  const base = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000' };
  expect(createSystemdNotifier(base).watchdogMs).toBe(30_000);
  expect(createSystemdNotifier({ ...base, WATCHDOG_PID: String(process.pid) }).watchdogMs).toBe(30_000);
  expect(createSystemdNotifier({ ...base, WATCHDOG_PID: '1' }).watchdogMs).toBeUndefined();
  expect(createSystemdNotifier({ ...base, WATCHDOG_USEC: 'soon' }).watchdogMs).toBeUndefined();
});
