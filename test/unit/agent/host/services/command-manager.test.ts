import { spawn } from 'node:child_process';
import { appendFile, chown, readFile, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createCommandManager } from '../../../../../agent/host/services/command-manager.ts';
import { calm, sleepingClock, systemClock } from '../../../../support/host/clock.ts';
import { ended, runs } from '../../../../support/host/processes.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

const sh = (script: string) => ['/bin/sh', '-c', script];
/** Whether it runs and is not a zombie. */
const alive = (pid: string) => `grep -q '^State:.[^ZX]' /proc/$(cat ${pid})/status 2>/dev/null || exit 1`;

/** Records kills instead of sending them. */
function noKills() {
  const kills = vi.spyOn(process, 'kill').mockReturnValue(true);
  onTestFinished(() => kills.mockRestore());
  return kills;
}

/** A real daemon in its own session, controlled by commands, with a pid file and a log. */
async function daemon(
  body: string,
  more: Partial<Parameters<typeof createCommandManager>[0]> = {},
  afterLaunch = '',
) {
  const directory = await temporaryDirectory();
  const [pid, log] = [join(directory, 'pid'), join(directory, 'log')];
  const service = createCommandManager({
    start: sh(`setsid sh -c '${body}' >> ${log} 2>&1 & echo $! > ${pid}${afterLaunch}`),
    stop: sh(`kill $(cat ${pid})`),
    status: sh(alive(pid)),
    pidFile: pid,
    log,
    environment: {},
    startTimeout: 2000,
    stopTimeout: 2000,
    clock: systemClock,
    ...more,
  });
  onTestFinished(async () => {
    const last = Number(await readFile(pid, 'utf8').catch(() => 0));
    if (last > 0 && (await runs(last))) process.kill(last, 'SIGKILL');
  });
  return { service, pid, log };
}

test('a start ends when the service is active, and returns its pid and invocation', async () => {
  const { service, pid } = await daemon('exec sleep 300');
  expect(await service.status(calm)).toMatchObject({ active: false, mainPid: null, invocation: null });
  const started = await service.restart(calm);
  expect(started).toMatchObject({ active: true, failed: false, restarts: 0, summary: 'active' });
  expect(started.mainPid).toBe(Number(await readFile(pid, 'utf8')));
  expect(await service.status(calm)).toEqual(started);
});

test('a restart stops the old process, and another invocation runs', async () => {
  const { service } = await daemon('exec sleep 300');
  const first = await service.restart(calm);
  const second = await service.restart(calm);
  expect(await runs(first.mainPid ?? 0)).toBe(false);
  expect(second.invocation).not.toBe(first.invocation);
});

test('a restart command of its own replaces stop and start', async () => {
  const { service, pid } = await daemon('exec sleep 300');
  const again = await daemon('exec sleep 300', {
    restart: sh(`echo restarted >> ${pid}.log; setsid sleep 300 >/dev/null 2>&1 & echo $! > ${pid}`),
    stop: sh('exit 1'),
    status: sh(alive(pid)),
    pidFile: pid,
  });
  await service.restart(calm);
  const old = Number(await readFile(pid, 'utf8'));
  onTestFinished(() => void process.kill(old, 'SIGKILL'));
  expect((await again.service.restart(calm)).mainPid).not.toBe(old);
  expect(await readFile(`${pid}.log`, 'utf8')).toBe('restarted\n');
});

test('a start command that fails is reported with its output', async () => {
  const { service } = await daemon('', { start: sh('echo no java here; exit 5') });
  await expect(service.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: '/bin/sh ended with exit code 5',
    detail: 'no java here\n',
  });
});

test('a start command that hangs is ended at the start timeout', async () => {
  const { service } = await daemon('', { start: sh('sleep 300'), startTimeout: 200 });
  await expect(service.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: '/bin/sh was still running after 200 ms',
  });
});

test('a service that dies before its first status is given up after 3 s, not at the start timeout', async () => {
  const clock = sleepingClock();
  const begun = clock.monotonic();
  // The start command sees its end, so that no status can come before it.
  const more = { startTimeout: 60_000, clock };
  const { service } = await daemon('echo port 8080 is taken; exit 1', more, '; wait $!; exit 0');
  await expect(service.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'the service ended as soon as /bin/sh had started it: inactive (status exit 1)',
    detail: 'port 8080 is taken\n',
  });
  expect(clock.monotonic() - begun).toBeLessThan(5000);
});

test('a program that goes into the background by itself, and is slow to write its pid, has the start timeout', async () => {
  const { service, pid } = await daemon('');
  // The pid that is there first is that of a process which has ended.
  const start = (then: string) => sh(`sh -c 'exit 0' & echo $! > ${pid}; wait $!; ${then}`);
  const late = `setsid sh -c 'sleep 1; echo $$ > ${pid}; exec sleep 300' >/dev/null 2>&1 &`;
  const background = await daemon('', {
    start: start(late),
    pidFile: pid,
    status: sh(alive(pid)),
    startTimeout: 60_000,
  });
  expect(await background.service.restart(calm)).toMatchObject({ active: true });
  await service.stop(calm);
});

test('a service without a pid file that dies at once never becomes active: the end of its log is the detail', async () => {
  // The start command sees its end, so that no status can come before it.
  const more = { pidFile: undefined };
  const { service } = await daemon('echo port 8080 is taken; exit 1', more, '; wait $!; exit 0');
  await expect(service.restart(calm)).rejects.toMatchObject({
    code: 'START_FAILED',
    message: 'the service is inactive (status exit 1) 2.0 s after /bin/sh',
    detail: 'port 8080 is taken\n',
  });
});

test('a service that ignores TERM is killed at the stop timeout', async () => {
  const { service } = await daemon('trap "" TERM; while :; do sleep 0.05; done', { stopTimeout: 300 });
  const { mainPid } = await service.restart(calm);
  await service.stop(calm);
  await ended(mainPid ?? 0);
  expect(await service.status(calm)).toMatchObject({ active: false });
});

test('a service whose pid file names pid 1 is stopped by its status alone, and the problem is reported', async () => {
  const kills = noKills();
  const up = join(await temporaryDirectory(), 'up');
  const inNamespace = { stop: sh(`rm ${up}`), status: sh(`test -e ${up}`), clock: sleepingClock() };
  const { service, pid } = await daemon('', inNamespace);
  await writeFile(up, '');
  await writeFile(pid, '1\n');
  expect(await service.status(calm)).toMatchObject({
    ...{ active: true, mainPid: null, invocation: null },
    trouble: { problem: `${pid} names pid 1, which cannot be a service` },
  });
  await service.stop(calm);
  expect((await service.status(calm)).trouble).toBeUndefined();
  expect(kills).not.toHaveBeenCalled();
});

test('a service that cannot be stopped, and whose pid file is not trusted, is a failed stop with the reason', async () => {
  const kills = noKills();
  const clock = sleepingClock();
  const { service, pid } = await daemon('', { stop: sh('exit 1'), status: sh('exit 0'), clock });
  await writeFile(pid, '1');
  const why = `${pid} names pid 1, which cannot be a service`;
  const reason = {
    message: `the service is still running 2.0 s after the stop command /bin/sh; not killed: ${why}`,
    hint: expect.stringContaining('remove `pidFile`'),
  };
  await expect(service.stop(calm)).rejects.toMatchObject({ code: 'STOP_FAILED', ...reason });
  await expect(service.restart(calm)).rejects.toMatchObject({ code: 'START_FAILED', ...reason });
  expect(kills).not.toHaveBeenCalled();
});

test('a service that cannot be stopped, and has no pid file to kill it by, is a failed stop', async () => {
  const { service } = await daemon('', {
    stop: sh('echo refused; exit 1'),
    status: sh('exit 0'),
    pidFile: undefined,
    stopTimeout: 1500,
  });
  await expect(service.stop(calm)).rejects.toMatchObject({ code: 'STOP_FAILED', detail: 'refused\n' });
});

test('a service that does not run is not stopped', async () => {
  const directory = await temporaryDirectory();
  const { service } = await daemon('', { stop: sh(`touch ${directory}/stopped`) });
  await service.stop(calm);
  await expect(readFile(join(directory, 'stopped'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('commands see the environment of the config', async () => {
  const { service } = await daemon('', {
    status: sh('test "$PROFILE" = dev'),
    environment: { PROFILE: 'dev' },
  });
  expect((await service.status(calm)).active).toBe(true);
});

test('a pid file without a live pid gives no pid', async () => {
  const { service, pid } = await daemon('', { status: sh('exit 0') });
  for (const text of ['', 'x', '-1', '0', '99999999', '1; rm']) {
    await writeFile(pid, text);
    expect(await service.status(calm)).toMatchObject({ mainPid: null, invocation: null });
  }
});

test('a stale pid file that names another process does not get it killed', async () => {
  const { service, pid } = await daemon('', { status: sh('exit 3'), stopTimeout: 100 });
  const stranger = spawn('/bin/sleep', ['300']);
  await writeFile(pid, String(stranger.pid));
  expect(await service.status(calm)).toMatchObject({ active: false, mainPid: null });
  await service.stop(calm);
  expect(await runs(stranger.pid ?? 0)).toBe(true);
});

test('the log tail begins where the last start did', async () => {
  const { service, log } = await daemon('echo new line; exec sleep 300');
  await writeFile(log, 'an old secret\n');
  const since = Date.now();
  await service.restart(calm);
  await appendFile(log, 'and \u001b[31mmore\n');
  await expect.poll(() => service.logTail(since, calm)).toBe('new line\nand \u001b[31mmore\n');
  await rename(log, `${log}.1`);
  expect(await service.logTail(since, calm)).toBe('');
  await writeFile(log, 'rotated\n');
  expect(await service.logTail(since, calm)).toBe('rotated\n');
});

test('without a known start, an older log gives no tail', async () => {
  const { service, log } = await daemon('');
  await writeFile(log, 'old\n');
  await utimes(log, new Date(1000), new Date(1000));
  expect(await service.logTail(2000, calm)).toBe('');
  expect(await service.logTail(500, calm)).toBe('old\n');
});

// Only root has files of another user; CI is root.
test.runIf(process.getuid?.() === 0)(
  'a log is not read through a link that another user has made (left out without root)',
  async () => {
    const [own, other] = [await temporaryDirectory(), await temporaryDirectory()];
    await writeFile(join(own, 'log'), 'a secret\n');
    await symlink(own, join(other, 'logs'));
    const { service } = await daemon('', { log: join(other, 'logs', 'log') });
    expect(await service.logTail(0, calm)).toBe('a secret\n');
    await chown(other, 54_321, 54_321);
    expect(await service.logTail(0, calm)).toBe('');
  },
);

test('of a huge log only the end is read', async () => {
  const { service, log } = await daemon('');
  await writeFile(log, `${'x'.repeat(5_000_000)}\nthe end\n`);
  const tail = await service.logTail(0, calm);
  expect(Buffer.byteLength(tail)).toBe(16 * 1024);
  expect(tail.endsWith('the end\n')).toBe(true);
});

test('an abort ends a start, with its reason', async () => {
  const { service } = await daemon('', { start: sh('sleep 300'), startTimeout: 60_000 });
  await expect(service.restart(AbortSignal.timeout(200))).rejects.toMatchObject({ name: 'TimeoutError' });
});
