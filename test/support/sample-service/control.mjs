// Starts, stops and asks after a service, as an init script would: the argv of a `command` service manager.
// PROGRAM runs in DIR, detached; DIR/service.pid and DIR/service.log are its own.
// usage: control.mjs start|stop|status DIR PROGRAM ARG...
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [action, dir, program, ...args] = process.argv.slice(2);
const pidFile = join(dir, 'service.pid');

function runningPid() {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  try {
    process.kill(pid, 0);
    // A zombie answers signals, too, where nobody reaps it.
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? undefined : pid;
  } catch {
    return undefined;
  }
}

async function stop() {
  const pid = runningPid();
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
  while (runningPid() !== undefined) await sleep(10);
  rmSync(pidFile, { force: true });
}

if (action === 'start') {
  const log = openSync(join(dir, 'service.log'), 'a');
  const child = spawn(program, args, { cwd: dir, detached: true, stdio: ['ignore', log, log] });
  writeFileSync(pidFile, `${child.pid}`);
  child.unref();
  closeSync(log);
} else if (action === 'stop') {
  await stop();
} else if (action === 'status') {
  process.exitCode = runningPid() === undefined ? 3 : 0;
}
