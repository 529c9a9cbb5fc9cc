import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../support/host/temporary.ts';

/** Runs the guard script with fakes of systemctl, dpkg, sleep and the clock. */

const GUARD = fileURLToPath(new URL('../../systemd/agent/self-update', import.meta.url));
const OLD = 'a0a0';
const NEW = 'b1b1';

/** The fakes keep their state in files of one directory: the state of the unit, the installed version. */
const PROGRAMS = {
  systemctl: `
echo "systemctl $*" >>"$WORLD/calls"
case "$*" in
  *InvocationID*) cat "$WORLD/invocation" ;;
  *NRestarts*) cat "$WORLD/sub-state" ;;
  *MainPID*) cat "$WORLD/pid" ;;
  *ActiveState*) cat "$WORLD/active" ;;
  restart*) . "$WORLD/on-restart" ;;
esac`,
  dpkg: `
echo "dpkg $*" >>"$WORLD/calls"
for file; do :; done
. "$WORLD/on-dpkg"
sed 's/^/installed /' "$file" >"$WORLD/installed"`,
  'dpkg-query': `cat "$WORLD/installed"`,
  sync: 'exit 0',
  // Only sleeps advance the clock, 10 s each; on-sleep runs in each, with its number in n.
  sleep: `
echo sleep >>"$WORLD/calls"
read -r n <"$WORLD/sleeps"
n=$((n + 1))
echo $n >"$WORLD/sleeps"
echo "$((n * 10)).00 0.00" >"$WORLD/uptime"
. "$WORLD/on-sleep"`,
};

interface World {
  /** Shell lines that run when the unit is restarted, when dpkg starts, and at each sleep. */
  onRestart?: string;
  onDpkg?: string;
  onSleep?: string;
  /** The progress of an earlier run of the guard. */
  phase?: string;
  /** The running agent. */
  pid?: number | undefined;
}

/** A guard that takes longer hangs, ms. */
const HANGS_MS = 100_000;
/** s */
const WITHIN = 100;
const START_WITHIN = 30;
const STOPS_WITHIN = 300;

/** Runs the guard until it ends, in a directory of its own. */
async function guard(world: World) {
  const root = await temporaryDirectory();
  const [state, bin] = [join(root, 'state'), join(root, 'bin')];
  await mkdir(state);
  await mkdir(bin);
  for (const [name, body] of Object.entries(PROGRAMS)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  const files = {
    invocation: `${OLD}\n`,
    'sub-state': 'NRestarts=0\nSubState=running\n',
    active: 'inactive\n',
    installed: 'installed 1.0.0\n',
    calls: '',
    sleeps: '0\n',
    uptime: '0.00 0.00\n',
    pid: `${world.pid ?? 0}\n`,
    'on-restart': world.onRestart ?? '',
    'on-dpkg': world.onDpkg ?? '',
    'on-sleep': world.onSleep ?? '',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  const order = `PACKAGE=agent\nFROM=1.0.0\nTO=2.0.0\nUNIT=agent.service\nOWN_UNIT=td-test-guard.service
WITHIN=${WITHIN}\nSTART_WITHIN=${START_WITHIN}\nSTOPS_WITHIN=${STOPS_WITHIN}\nLOCK_WITHIN=60\n`;
  await writeFile(join(state, 'order'), order);
  await writeFile(join(state, 'new.deb'), '2.0.0\n');
  await writeFile(join(state, 'old.deb'), '1.0.0\n');
  if (world.phase) await writeFile(join(state, 'phase'), `${world.phase}\n`);
  const script = await readFile(GUARD, 'utf8');
  expect(script).toContain('</proc/uptime');
  await writeFile(join(state, 'guard'), script.replace('</proc/uptime', '<"$WORLD/uptime"'));
  const env = { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`, WORLD: root, STATE: state };
  await promisify(execFile)('/bin/sh', [join(state, 'guard')], {
    env,
    timeout: HANGS_MS,
    killSignal: 'SIGKILL',
  });
  const read = (path: string) => readFile(path, 'utf8');
  return {
    verdict: (await read(join(state, 'verdict'))).split('\n'),
    detail: await read(join(state, 'detail')).catch(() => ''),
    installed: await read(join(root, 'installed')),
    calls: (await read(join(root, 'calls'))).split('\n'),
  };
}

const BEGINS = `echo ${NEW} >"$WORLD/invocation"`;

test('the time limit of a new agent begins when it starts, however long the old one takes to stop', async () => {
  const { verdict, installed, calls } = await guard({
    // A crash of the old agent while it stops does not count as a crash of the new one.
    onRestart: 'printf "NRestarts=1\\nSubState=stop-sigterm\\n" >"$WORLD/sub-state"',
    onSleep: `if [ $n = 25 ]; then ${BEGINS}; echo NRestarts=0 >"$WORLD/sub-state"; fi
      if [ $n = 33 ]; then echo keep >"$STATE/verdict"; fi`,
  });
  expect(verdict[0]).toBe('keep');
  expect(installed).toBe('installed 2.0.0\n');
  expect(calls.filter((call) => call.startsWith('systemctl restart'))).toHaveLength(1);
});

test('the old agent is restored if the new one gives no verdict in time', async () => {
  const { verdict, installed } = await guard({ onRestart: BEGINS });
  expect(verdict.slice(0, 2)).toEqual(['back', 'START_FAILED']);
  expect(verdict[2]).toBe('agent 2.0.0 did not reach AWS within 100 s');
  expect(installed).toBe('installed 1.0.0\n');
});

test('the old agent is restored if the new one crashes once', async () => {
  const { verdict, installed } = await guard({
    onRestart: `${BEGINS}; printf 'NRestarts=0\\nSubState=auto-restart\\n' >"$WORLD/sub-state"`,
  });
  expect(verdict[2]).toBe('agent 2.0.0 crashed before it had reached AWS');
  expect(installed).toBe('installed 1.0.0\n');
});

test('the old agent is restored if the new one hangs before it is ready, well before systemd would end it', async () => {
  const { verdict, installed, calls } = await guard({
    onRestart: `${BEGINS}; echo activating >"$WORLD/active"`,
    // The time for the stop.
    onSleep: `if grep -q "systemctl stop" "$WORLD/calls"; then echo inactive >"$WORLD/active"; fi`,
  });
  expect(verdict.slice(0, 3)).toEqual(['back', 'START_FAILED', 'agent 2.0.0 was not ready within 30 s']);
  expect(installed).toBe('installed 1.0.0\n');
  const stopped = calls.indexOf('systemctl stop --no-block agent.service');
  expect(calls.slice(0, stopped).filter((call) => call === 'sleep')).toHaveLength(4);
});

test('a new agent that was ready, and is slow to reach AWS, has the whole time limit', async () => {
  const { verdict } = await guard({
    onRestart: `${BEGINS}; echo active >"$WORLD/active"`,
    // A manager that executes itself anew does not answer: that is no verdict.
    onSleep: `if [ $n = 5 ]; then rm "$WORLD/active"; fi
      if [ $n = 9 ]; then echo keep >"$STATE/verdict"; fi`,
  });
  expect(verdict[0]).toBe('keep');
});

test('the old agent is restored if the new one is not started after the old one must have stopped', async () => {
  const { verdict, installed } = await guard({});
  expect(verdict.slice(0, 2)).toEqual(['back', 'START_FAILED']);
  expect(verdict[2]).toBe('agent 2.0.0 was not started within 300 s');
  expect(installed).toBe('installed 1.0.0\n');
});

test('a restarted guard repeats the restart, unless the new agent has started', async () => {
  const restarts = async (phase: string) => {
    const world = { phase, onSleep: `${BEGINS}; echo keep >"$STATE/verdict"` };
    const { calls } = await guard(world);
    expect(calls.some((call) => call.startsWith('dpkg'))).toBe(false);
    return calls.filter((call) => call.startsWith('systemctl restart')).length;
  };
  expect(await restarts(OLD)).toBe(1);
  expect(await restarts('of before')).toBe(0);
});

test('an agent is killed only after its own stop timeout, because it may wait for a hook', async () => {
  const agent = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' });
  onTestFinished(() => void agent.kill());
  const { calls, installed } = await guard({
    pid: agent.pid,
    onRestart: `${BEGINS}; echo deactivating >"$WORLD/active"`,
    onSleep: `kill -0 ${agent.pid} 2>/dev/null || echo inactive >"$WORLD/active"`,
  });
  const stopped = calls.findIndex((call) => call.startsWith('systemctl stop'));
  const back = calls.findIndex((call) => call.startsWith('dpkg') && call.endsWith('old.deb'));
  expect(calls.slice(stopped, back).filter((call) => call === 'sleep').length).toBeGreaterThanOrEqual(30);
  expect(installed).toBe('installed 1.0.0\n');
});

test('on a full disk the first verdict is retried with a pause until it is written', async () => {
  const { verdict, calls } = await guard({
    // A directory at the path of the verdict makes the write fail, like a full disk.
    onRestart: `${BEGINS}; mkdir "$STATE/verdict.guard.new"; echo NRestarts=1 >"$WORLD/sub-state"`,
    onSleep: `if [ $n = 3 ]; then echo NRestarts=0 >"$WORLD/sub-state"; fi
      if [ $n = 20 ]; then rmdir "$STATE/verdict.guard.new"; fi`,
  });
  expect(verdict[2]).toBe('agent 2.0.0 crashed before it had reached AWS');
  const begin = calls.findIndex((call) => call.startsWith('systemctl restart'));
  const end = calls.indexOf('systemctl stop --no-block agent.service');
  const turns = calls.slice(begin + 1, end);
  expect(turns.filter((call) => call === 'sleep')).toHaveLength(21);
  expect(turns.filter((call) => call !== 'sleep').length).toBeLessThan(10);
});

test('a failed installation by dpkg is reported, also if the disk is full at first', async () => {
  const { verdict, detail, calls } = await guard({
    onDpkg: 'mkdir "$STATE/verdict.guard.new" "$STATE/detail.new"; echo "dpkg: no room"; exit 1',
    onSleep: `if [ $n = 2 ]; then rmdir "$STATE/detail.new"; fi
      if [ $n = 4 ]; then rmdir "$STATE/verdict.guard.new"; fi`,
  });
  expect(verdict.slice(0, 3)).toEqual(['back', 'DPKG_FAILED', 'dpkg could not install agent 2.0.0']);
  expect(detail).toBe('dpkg: no room\n');
  expect(calls.filter((call) => call === 'sleep')).toHaveLength(4);
});
