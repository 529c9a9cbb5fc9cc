import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { argvFor, createSystemdManager } from '../../../../../agent/host/services/systemd.ts';
import { logArgv, readUnitLog } from '../../../../../agent/host/services/unit-log.ts';
import { parseShow, restartVerdict, statusOf } from '../../../../../agent/host/services/unit-state.ts';
import { calm, sleepingClock } from '../../../../support/host/clock.ts';
import { programsOnPath } from '../../../../support/host/temporary.ts';

/** As journalctl prints it: the report is cleaned when it is built. */
const RAW_LOG = 'Exception in \u001b[31mmain\u001b[0m\n';
const shown = (fields: Record<string, string | number>) =>
  `${Object.entries({
    LoadState: 'loaded',
    ActiveState: 'active',
    SubState: 'running',
    MainPID: 100,
    NRestarts: 0,
    InvocationID: 'old',
    Result: 'success',
    ...fields,
  })
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;

const HOUR = 3_600_000;
const DEAD = { ActiveState: 'inactive', SubState: 'dead', MainPID: 0 };
const FAILED = { ActiveState: 'failed', SubState: 'failed', MainPID: 0, Result: 'exit-code' };

/**
 * A systemctl that answers each `show` with the next of `answers`, the last one from then on, and writes down
 * every call; and a journalctl with a line.
 */
async function manager(answers: string[], more: { restartExit?: number; stopTimeout?: number } = {}) {
  const directory = await programsOnPath({
    systemctl: [
      'd=$(dirname "$0"); echo "$*" >> "$d/calls"',
      `[ "$1" = restart ] && { echo 'Job failed.' >&2; exit ${more.restartExit ?? 0}; }`,
      '[ "$1" = show ] || exit 0',
      'n=$(cat "$d/n" 2>/dev/null || echo 0); [ -e "$d/show.$((n + 1))" ] && echo $((n + 1)) > "$d/n"',
      'cat "$d/show.$n"',
    ].join('\n'),
    journalctl: 'echo "$*" >> "$(dirname "$0")/calls"; printf "Exception in \\033[31mmain\\033[0m\\n"',
  });
  for (const [n, answer] of answers.entries()) await writeFile(join(directory, `show.${n}`), answer);
  const clock = sleepingClock();
  const calls = async () => (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');
  return {
    clock,
    calls,
    acts: async () => (await calls()).filter((call) => !call.startsWith('show')),
    unit: createSystemdManager({
      unit: 'pay.service',
      startTimeout: 300,
      stopTimeout: more.stopTimeout ?? 200,
      clock,
    }),
  };
}

test('every command names the unit and does not block', () => {
  expect(argvFor.restart('pay.service')).toEqual(['systemctl', 'restart', '--no-block', 'pay.service']);
  expect(argvFor.stop('pay.service')).toEqual(['systemctl', 'stop', '--no-block', 'pay.service']);
  expect(argvFor.resetFailed('pay.service')).toEqual(['systemctl', 'reset-failed', 'pay.service']);
  expect(argvFor.kill('pay.service')).toEqual(['systemctl', 'kill', '-s', 'KILL', 'pay.service']);
  expect(logArgv('pay.service', 1_700_000_000_999).join(' ')).toBe(
    'journalctl -u pay.service --since @1700000000 -n 200 -o cat --no-pager -q',
  );
});

test('the journal is asked by the clock of this machine, which differs from AWS’s', async () => {
  for (const offset of [2 * HOUR, -2 * HOUR]) {
    const directory = await programsOnPath({ journalctl: 'echo "$*" > "$(dirname "$0")/asked"' });
    const clock = { ...sleepingClock(), now: () => Date.now() + offset };
    await readUnitLog('pay.service', clock.now() - 60_000, { clock, signal: calm });
    const asked = /--since @(\d+)/.exec(await readFile(join(directory, 'asked'), 'utf8'))?.[1];
    expect(Math.abs(Number(asked) - (Date.now() / 1000 - 60))).toBeLessThan(HOUR / 2000);
  }
});

test('the output of systemctl show is parsed, in any order and with unknown properties', () => {
  const state = parseShow('Foo=a=b\nNRestarts=2\nMainPID=4711\nActiveState=active\nSubState=running\n');
  expect(state).toMatchObject({ active: 'active', sub: 'running', mainPid: 4711, restarts: 2, busy: false });
  expect(parseShow(shown({ ...DEAD, InvocationID: '', Job: 812 }))).toMatchObject({
    mainPid: null,
    invocation: null,
    busy: true,
  });
  expect(parseShow('')).toMatchObject({ load: 'unknown', active: 'unknown', mainPid: null, restarts: 0 });
});

test('a status is active or failed, and a missing unit is not-found', () => {
  expect(statusOf('pay.service', parseShow(shown({})))).toMatchObject({
    active: true,
    failed: false,
    summary: 'active (running)',
  });
  expect(statusOf('pay.service', parseShow(shown(FAILED)))).toMatchObject({ active: false, failed: true });
  expect(statusOf('pay.service', parseShow(shown({ ...DEAD, LoadState: 'not-found' }))).summary).toBe(
    'not-found',
  );
});

test('only a unit that is not loaded has trouble', () => {
  const troubleOf = (fields: Record<string, string | number>) =>
    statusOf('pay.service', parseShow(shown(fields))).trouble;
  expect([troubleOf({}), troubleOf(DEAD), troubleOf(FAILED)]).toEqual([undefined, undefined, undefined]);
  expect(troubleOf({ ...DEAD, LoadState: 'masked' })).toEqual({
    problem: 'pay.service is masked',
    hint: 'systemctl unmask pay.service',
  });
  for (const load of ['bad-setting', 'error', 'merged']) {
    expect(troubleOf({ ...DEAD, LoadState: load })).toEqual({
      problem: `pay.service cannot be loaded: ${load}`,
      hint: 'see systemctl status pay.service; after the repair: systemctl daemon-reload',
    });
  }
});

test.each([
  ['active as before is not started yet', {}, 'wait'],
  ['active anew is started', { InvocationID: 'new' }, 'started'],
  ['reloading anew is started', { ActiveState: 'reloading', InvocationID: 'new' }, 'started'],
  ['reloading as before is not started yet', { ActiveState: 'reloading' }, 'wait'],
  ['activating is awaited', { ActiveState: 'activating', InvocationID: 'new' }, 'wait'],
  ['failed by the stop, with the start queued, is awaited', { ...FAILED, Job: 7 }, 'wait'],
  ['failed with nothing queued is failed', FAILED, 'failed'],
  ['failed anew is failed', { ...FAILED, InvocationID: 'new', Job: 7 }, 'failed'],
  ['inactive with the start queued is awaited', { ...DEAD, Job: 7 }, 'wait'],
  ['inactive with nothing queued is failed: a condition refused it, or it ended at once', DEAD, 'failed'],
] as const)('%s', (_fact, now, verdict) => {
  expect(restartVerdict(parseShow(shown({})), parseShow(shown(now)))).toBe(verdict);
});

test('without invocation ids, another main pid shows a new start', () => {
  const old = parseShow(shown({ InvocationID: '' }));
  expect(restartVerdict(old, parseShow(shown({ InvocationID: '' })))).toBe('wait');
  expect(restartVerdict(old, parseShow(shown({ InvocationID: '', MainPID: 101 })))).toBe('started');
});

test('a restart clears a start limit first, and ends when a new invocation is active', async () => {
  const { unit, acts } = await manager([
    shown({}),
    shown({ ActiveState: 'deactivating', SubState: 'stop-sigterm', Job: 5 }),
    shown({ ...FAILED, Result: 'exit-code', Job: 5 }),
    shown({ ActiveState: 'activating', SubState: 'start', InvocationID: 'new', MainPID: 200, Job: 5 }),
    shown({ InvocationID: 'new', MainPID: 200 }),
  ]);
  expect(await unit.restart(calm)).toEqual({
    active: true,
    failed: false,
    mainPid: 200,
    restarts: 0,
    invocation: 'new',
    summary: 'active (running)',
  });
  expect(await acts()).toEqual(['reset-failed pay.service', 'restart --no-block pay.service']);
});

test('a start that fails names a unit file that was changed without daemon-reload', async () => {
  const outdated = { NeedDaemonReload: 'yes' };
  const { unit } = await manager([shown(outdated), shown({ ...FAILED, ...outdated, InvocationID: 'new' })]);
  await expect(unit.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    hint: expect.stringMatching(/file of the unit was changed.*systemctl daemon-reload/),
  });
});

test('a unit that fails is failed at once, with the end of its log', async () => {
  const { unit, clock } = await manager([shown({}), shown({ ...FAILED, InvocationID: 'new' })]);
  await expect(unit.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'pay.service did not start: failed (failed), result exit-code',
    detail: RAW_LOG,
  });
  expect(clock.monotonic()).toBe(0);
});

test('a unit that does not exist is not restarted', async () => {
  const { unit, acts } = await manager([shown({ ...DEAD, LoadState: 'not-found' })]);
  await expect(unit.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'pay.service does not exist',
  });
  expect(await acts()).toEqual([]);
});

test('a restart that systemd refuses is failed, with its output', async () => {
  const { unit } = await manager([shown({})], { restartExit: 1 });
  await expect(unit.restart(calm)).rejects.toMatchObject({ code: 'START_FAILED', detail: 'Job failed.\n' });
});

test('a start that does not end times out after the stop and start timeouts', async () => {
  const starting = shown({ ActiveState: 'activating', SubState: 'start', InvocationID: 'new', Job: 5 });
  const { unit } = await manager([shown({}), starting]);
  await expect(unit.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'pay.service is not active 500 ms after its restart: activating (start), result success',
  });
});

test('a start that crashes again and again is given up at the third restart, not at the timeouts', async () => {
  const crashing = (restarts: number) =>
    shown({
      ...{ ActiveState: 'activating', SubState: 'auto-restart', Result: 'exit-code', MainPID: 0 },
      ...{ InvocationID: `new ${restarts}`, NRestarts: restarts },
    });
  const { unit, clock } = await manager([shown({ NRestarts: 7 }), ...[0, 1, 2, 3].map(crashing)], {
    stopTimeout: 600_000,
  });
  await expect(unit.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: expect.stringMatching(/^pay\.service is in a crash loop: systemd has restarted it 3 times/),
    detail: RAW_LOG,
  });
  expect(clock.monotonic()).toBeLessThan(2000);
});

test.each(['reloading', 'refreshing'])('a unit that is %s runs', (active) => {
  const status = statusOf('pay.service', parseShow(shown({ ActiveState: active, SubState: 'reload' })));
  expect(status).toMatchObject({ active: true, failed: false });
  expect(status.down).toBeUndefined();
});

test('a restart whose stop hangs kills the old process once, at the stop timeout', async () => {
  const hanging = shown({ ActiveState: 'deactivating', SubState: 'stop', Job: 5 });
  const { unit, acts } = await manager([shown({}), hanging], { stopTimeout: 100 });
  await expect(unit.restart(calm)).rejects.toMatchObject({ code: 'START_FAILED' });
  expect((await acts()).filter((call) => call.startsWith('kill'))).toEqual(['kill -s KILL pay.service']);
});

test('a stop that hangs ends in a KILL', async () => {
  const hanging = shown({ ActiveState: 'deactivating', SubState: 'stop' });
  const { unit, acts, calls } = await manager([shown({}), ...Array(20).fill(hanging), shown(FAILED)], {
    stopTimeout: 50,
  });
  await unit.stop(calm);
  expect(await acts()).toEqual([
    'stop --no-block pay.service',
    'kill -s KILL pay.service',
    'reset-failed pay.service',
  ]);
  expect((await calls()).length).toBeGreaterThan(4);
});

test('a unit that is inactive or does not exist is not stopped', async () => {
  for (const state of [DEAD, { ...DEAD, LoadState: 'not-found' }]) {
    const { unit, acts } = await manager([shown(state)]);
    await unit.stop(calm);
    expect(await acts()).toEqual([]);
  }
});

test('a unit that failed is not stopped, and not left as a failed one', async () => {
  const { unit, acts } = await manager([shown(FAILED)]);
  await unit.stop(calm);
  expect(await acts()).toEqual(['reset-failed pay.service']);
});

test('without systemd, each call fails with its own code', async () => {
  await programsOnPath({ systemctl: 'echo System has not been booted with systemd >&2; exit 1' });
  const unit = createSystemdManager({
    unit: 'pay.service',
    startTimeout: 100,
    stopTimeout: 100,
    clock: sleepingClock(),
  });
  await expect(unit.status(calm)).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  await expect(unit.restart(calm)).rejects.toMatchObject({ code: 'START_FAILED' });
  await expect(unit.stop(calm)).rejects.toMatchObject({ code: 'STOP_FAILED' });
});

test('the log tail is raw, and empty without a journal', async () => {
  const { unit } = await manager([shown({})]);
  expect(await unit.logTail(0, calm)).toBe(RAW_LOG);
  process.env.PATH = '/nowhere';
  expect(await unit.logTail(0, calm)).toBe('');
});

test('an abort ends the wait with its reason', async () => {
  const { unit } = await manager([shown({}), shown({ ActiveState: 'activating', Job: 5 })]);
  const controller = new AbortController();
  const restarting = unit.restart(controller.signal);
  controller.abort(new Error('stopping'));
  await expect(restarting).rejects.toThrow('stopping');
});
