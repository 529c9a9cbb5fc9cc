import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSystemdManager } from '../../agent/host/services/systemd.ts';
import { calm, sleepingClock } from '../support/host/clock.ts';
import { programsOnPath } from '../support/host/temporary.ts';

/**
 * A systemctl with units in files: `STATE RESULT ENABLED` of each. It starts no socket whose service runs, as systemd
 * does, and gives the service a new invocation at each start.
 */
const SYSTEMCTL = `d=$(dirname "$0")/units; verb=$1; shift
for last in "$@"; do :; done
at() { cut -d' ' -f"$2" "$d/$1"; }
put() { echo "$2 $3 $(at "$1" 3)" > "$d/$1"; }
run() { n=$(($(cat "$d/n") + 1)); echo $n > "$d/n"; put pay.service active success; }
if [ "$verb" != show ]; then echo "$verb $last" >> "$d/calls"; fi
case $verb-$last in
  show-*)
    for unit in "$@"; do case $unit in --*) continue ;; esac
      [ -e "$d/$unit" ] || { printf 'LoadState=not-found\\nActiveState=inactive\\n\\n'; continue; }
      printf 'LoadState=loaded\\nActiveState=%s\\nSubState=x\\nResult=%s\\nUnitFileState=%s\\n' $(cat "$d/$unit")
      [ $unit = pay.service ] && printf 'InvocationID=%s\\nTriggeredBy=%s\\n' "$(cat "$d/n")" "$(cat "$d/by")"
      echo
    done ;;
  restart-pay.service)
    run
    [ -e "$d/crash" ] && { read -r unit < "$d/crash"; rm "$d/crash"; put "$unit" failed service-start-limit-hit; } ;;
  restart-*.socket)
    case $(at "$last" 2) in
      resources) exit 0 ;;
    esac
    if [ "$(at pay.service 1)" = active ]; then echo 'pay.service already active, refusing.' >&2; else put "$last" active success; fi ;;
  restart-*) put "$last" active success ;;
  stop-*) put "$last" inactive success ;;
esac
exit 0`;

async function machine(units: Record<string, string>, more: Record<string, string> = {}) {
  const directory = await programsOnPath({ systemctl: SYSTEMCTL, journalctl: 'exit 0' });
  const at = (name: string) => join(directory, 'units', name);
  await mkdir(join(directory, 'units'));
  const triggers = Object.keys(units).filter((name) => name !== 'pay.service');
  for (const [name, text] of Object.entries({
    ...units,
    n: '1',
    by: triggers.join(' '),
    calls: '',
    ...more,
  })) {
    await writeFile(at(name), `${text}\n`);
  }
  return {
    unit: createSystemdManager({
      unit: 'pay.service',
      startTimeout: 300,
      stopTimeout: 200,
      clock: sleepingClock(),
    }),
    acts: async () =>
      (await readFile(at('calls'), 'utf8'))
        .trim()
        .split('\n')
        .filter((call) => call !== 'reset-failed pay.service'),
    state: async (name: string) => (await readFile(at(name), 'utf8')).split(' ')[0],
  };
}

const LIMIT = 'failed service-start-limit-hit enabled';
const UP = 'active success enabled';
const STOPPED = 'inactive success enabled';

test('a socket that is up stays up during a restart, and one that a person stopped stays down', async () => {
  const { unit, acts } = await machine({ 'pay.service': UP, 'pay.socket': UP, 'pay.timer': STOPPED });
  await unit.restart(calm);
  expect(await acts()).toEqual(['restart pay.service']);
});

test.each(['pay.socket', 'pay.path', 'pay.timer', 'srv.automount'])(
  'a failed %s is started before the service',
  async (name) => {
    const { unit, acts, state } = await machine({ 'pay.service': 'failed exit-code static', [name]: LIMIT });
    expect(await unit.restart(calm)).toMatchObject({ active: true });
    expect(await acts()).toEqual([`restart ${name}`, 'restart pay.service']);
    expect(await state(name)).toBe('active');
  },
);

test('the service is stopped first where it runs: systemd starts no socket of a service that runs', async () => {
  const { unit, acts, state } = await machine({ 'pay.service': UP, 'pay.socket': LIMIT });
  await unit.restart(calm);
  expect(await acts()).toEqual(['stop pay.service', 'restart pay.socket', 'restart pay.service']);
  expect(await state('pay.socket')).toBe('active');
});

test('a socket that fails while the service starts is started all the same', async () => {
  const { unit, state } = await machine({ 'pay.service': UP, 'pay.socket': UP }, { crash: 'pay.socket' });
  await unit.restart(calm);
  expect([await state('pay.socket'), await state('pay.service')]).toEqual(['active', 'active']);
});

test('a socket that failed for another reason and cannot be started is a trouble of the service that runs', async () => {
  const { unit } = await machine({ 'pay.service': UP, 'pay.socket': 'failed resources enabled' });
  expect(await unit.restart(calm)).toMatchObject({
    active: true,
    trouble: {
      problem: expect.stringMatching(/^pay\.socket, which starts pay\.service, could not be started/),
    },
  });
});

test('a trigger that the deployment stopped and that does not start again is a failed start, by its name', async () => {
  const { unit } = await machine({ 'pay.service': UP, 'pay.socket': 'failed resources enabled' });
  await expect(unit.restart(calm, { names: ['pay.socket'] })).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringContaining('pay.socket, which starts pay.service, could not be started'),
    hint: 'see systemctl status pay.socket',
  });
});

test('a stop stops what starts the service first, and the restart starts it first', async () => {
  const { unit, acts } = await machine({ 'pay.service': UP, 'pay.socket': UP, 'pay.timer': STOPPED });
  expect(await unit.triggers?.(calm)).toEqual(['pay.socket']);
  await unit.stop(calm);
  await unit.restart(calm, { names: ['pay.socket', 'gone.socket'] });
  expect(await acts()).toEqual([
    ...['stop pay.socket', 'stop pay.service'],
    ...['restart pay.socket', 'restart pay.service'],
  ]);
});

test('a first deployment starts what starts at a boot', async () => {
  const { unit, acts } = await machine({
    'pay.service': STOPPED,
    'pay.socket': STOPPED,
    'pay.timer': 'inactive success disabled',
  });
  await unit.restart(calm, { names: [], enabled: true });
  expect(await acts()).toEqual(['restart pay.socket', 'restart pay.service']);
});
