import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../support/host/temporary.ts';

/** The guard itself, with systemctl, dpkg and sleep in the place of systemd's, dpkg's and the time's. */

const GUARD = fileURLToPath(new URL('../../../systemd/agent/self-update', import.meta.url));
const OLD = 'a0a0';
const NEW = 'b1b1';

/** Each reads and changes files of one directory: what the unit is like, which version is installed. */
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
  // Time passes by these alone, 10 s each; what happens meanwhile is in on-sleep, where n says which sleep it is.
  sleep: `
echo sleep >>"$WORLD/calls"
n=$(grep -c '^sleep' "$WORLD/calls")
echo "$((n * 10)).00 0.00" >"$WORLD/uptime"
. "$WORLD/on-sleep"`,
};

interface World {
  /** Lines of shell, run when the unit is restarted, when dpkg begins, and at each sleep. */
  onRestart?: string;
  onDpkg?: string;
  onSleep?: string;
  /** Where an earlier run of the guard came to. */
  phase?: string;
  /** The agent that runs. */
  pid?: number | undefined;
}

/** s */
const WITHIN = 100;
const STOPS_WITHIN = 300;

/** Runs the guard from its beginning to its end in a world of its own. */
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
    uptime: '0.00 0.00\n',
    pid: `${world.pid ?? 0}\n`,
    'on-restart': world.onRestart ?? '',
    'on-dpkg': world.onDpkg ?? '',
    'on-sleep': world.onSleep ?? '',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  const order = `PACKAGE=agent\nFROM=1.0.0\nTO=2.0.0\nUNIT=agent.service\nOWN_UNIT=td-test-guard.service
WITHIN=${WITHIN}\nSTOPS_WITHIN=${STOPS_WITHIN}\nLOCK_WITHIN=60\n`;
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
    timeout: 25_000,
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

test('the time of a new agent begins when it starts, however long the old one takes to end', async () => {
  const { verdict, installed, calls } = await guard({
    // An old one that dies while it is ended is no death of the new one.
    onRestart: 'printf "NRestarts=1\\nSubState=stop-sigterm\\n" >"$WORLD/sub-state"',
    onSleep: `if [ $n = 25 ]; then ${BEGINS}; echo NRestarts=0 >"$WORLD/sub-state"; fi
      if [ $n = 33 ]; then echo keep >"$STATE/verdict"; fi`,
  });
  expect(verdict[0]).toBe('keep');
  expect(installed).toBe('installed 2.0.0\n');
  expect(calls.filter((call) => call.startsWith('systemctl restart'))).toHaveLength(1);
});

test('a new agent that says nothing in its time is taken back', async () => {
  const { verdict, installed } = await guard({ onRestart: BEGINS });
  expect(verdict.slice(0, 2)).toEqual(['back', 'START_FAILED']);
  expect(verdict[2]).toBe('agent 2.0.0 did not reach AWS within 100 s');
  expect(installed).toBe('installed 1.0.0\n');
});

test('a new agent that dies once is taken back', async () => {
  const { verdict, installed } = await guard({
    onRestart: `${BEGINS}; printf 'NRestarts=0\\nSubState=auto-restart\\n' >"$WORLD/sub-state"`,
  });
  expect(verdict[2]).toBe('agent 2.0.0 crashed before it had reached AWS');
  expect(installed).toBe('installed 1.0.0\n');
});

test('a new agent that is never started is given up once the old one must have ended', async () => {
  const { verdict, installed } = await guard({});
  expect(verdict.slice(0, 2)).toEqual(['back', 'START_FAILED']);
  expect(verdict[2]).toBe('agent 2.0.0 was not started within 300 s');
  expect(installed).toBe('installed 1.0.0\n');
});

test('a guard that begins anew asks for the restart again, unless the new agent has begun', async () => {
  const restarts = async (phase: string) => {
    const world = { phase, onSleep: `${BEGINS}; echo keep >"$STATE/verdict"` };
    const { calls } = await guard(world);
    expect(calls.some((call) => call.startsWith('dpkg'))).toBe(false);
    return calls.filter((call) => call.startsWith('systemctl restart')).length;
  };
  expect(await restarts(OLD)).toBe(1);
  expect(await restarts('of before')).toBe(0);
});

test('an agent has its own time to end before it is killed: it may wait for a hook', async () => {
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

test('on a full disk the first verdict is repeated until it is written, and never without a pause', async () => {
  const { verdict, calls } = await guard({
    // A directory where the verdict would be written: no room for it.
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

test('that dpkg could not install it is told, also when there is no room for that at first', async () => {
  const { verdict, detail, calls } = await guard({
    onDpkg: 'mkdir "$STATE/verdict.guard.new" "$STATE/detail.new"; echo "dpkg: no room"; exit 1',
    onSleep: `if [ $n = 2 ]; then rmdir "$STATE/detail.new"; fi
      if [ $n = 4 ]; then rmdir "$STATE/verdict.guard.new"; fi`,
  });
  expect(verdict.slice(0, 3)).toEqual(['back', 'DPKG_FAILED', 'dpkg could not install agent 2.0.0']);
  expect(detail).toBe('dpkg: no room\n');
  expect(calls.filter((call) => call === 'sleep')).toHaveLength(4);
});
