import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSystemdManager } from '../../../../../agent/host/services/systemd.ts';
import { calm, sleepingClock } from '../../../../support/host/clock.ts';
import { programsOnPath } from '../../../../support/host/temporary.ts';

/**
 * A small systemd that executes itself anew all the time: of the calls of each kind the first `cut` fail. An order whose
 * answer is lost is carried out where `carriedOut` says so.
 */
async function reexecuting({ cut = 3, carriedOut = false } = {}) {
  const directory = await programsOnPath({
    systemctl: `d=$(dirname "$0"); echo "$*" >> "$d/calls"
act() {
  case "$1" in
    restart) echo "ActiveState=active MainPID=200 InvocationID=new Job=" > "$d/unit" ;;
    stop) echo "ActiveState=failed MainPID=0 InvocationID=old Job=" > "$d/unit" ;;
    reset-failed) sed -i s/failed/inactive/ "$d/unit" ;;
  esac
}
n=$(($(cat "$d/cut.$1" 2>/dev/null || echo ${cut}) - 1)); echo $n > "$d/cut.$1"
if [ $n -ge 0 ]; then
  ${carriedOut ? 'act "$1"' : ':'}
  echo 'Failed: Message recipient disconnected from message bus without replying' >&2; exit 1
fi
if [ "$1" = show ]; then echo LoadState=loaded; tr ' ' '\\n' < "$d/unit"; else act "$1"; fi`,
    journalctl: ':',
  });
  await writeFile(join(directory, 'unit'), 'ActiveState=active MainPID=100 InvocationID=old Job=');
  return {
    orders: async (verb: string) =>
      (await readFile(join(directory, 'calls'), 'utf8')).split('\n').filter((call) => call.startsWith(verb)),
    unit: createSystemdManager({
      unit: 'pay.service',
      startTimeout: 5000,
      stopTimeout: 5000,
      clock: sleepingClock(),
    }),
  };
}

test('the status of a unit is read once systemd answers again', async () => {
  const { unit } = await reexecuting();
  expect(await unit.status(calm)).toMatchObject({ active: true, mainPid: 100 });
});

test('a restart that systemd did not take is ordered again', async () => {
  const { unit, orders } = await reexecuting();
  expect(await unit.restart(calm)).toMatchObject({ active: true, mainPid: 200 });
  expect(await orders('restart')).toHaveLength(4);
});

test('a restart whose answer is lost is not ordered twice', async () => {
  const { unit, orders } = await reexecuting({ carriedOut: true });
  expect(await unit.restart(calm)).toMatchObject({ active: true, mainPid: 200 });
  expect(await orders('restart')).toHaveLength(1);
});

test('a stop is ordered until the unit is down, once where its answer is lost', async () => {
  for (const [carriedOut, times] of [
    [false, 4],
    [true, 1],
  ] as const) {
    const { unit, orders } = await reexecuting({ carriedOut });
    await unit.stop(calm);
    expect(await orders('stop')).toHaveLength(times);
    expect(await unit.status(calm)).toMatchObject({ active: false, failed: false });
  }
});

test('a restart whose job is lost is ordered again', async () => {
  const { unit, orders } = await reexecuting({ cut: 0 });
  const directory = await programsOnPath({
    systemctl: `d=$(dirname "$0"); echo "$*" >> "$d/calls"
if [ "$1" = show ] && [ "$(grep -c restart "$d/calls")" -ge 2 ]; then id=new; else id=old; fi
[ "$1" = show ] && printf 'LoadState=loaded\\nActiveState=active\\nInvocationID=%s\\n' "$id"; exit 0`,
  });
  expect(await unit.restart(calm)).toMatchObject({ active: true });
  const calls = (await readFile(join(directory, 'calls'), 'utf8')).split('\n');
  expect(calls.filter((call) => call.startsWith('restart'))).toHaveLength(2);
  await expect(orders('restart')).rejects.toThrow();
});
