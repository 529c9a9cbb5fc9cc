// A small but real HTTP service, and the whole of what a version of it contains: plain JavaScript with no
// dependency, so that any Node runs it. `behaviour.json` beside it says which version it is and how it misbehaves
// (package.ts); the directory it is started in is the operator's, and holds `service.pid`.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const behaviour = JSON.parse(readFileSync(new URL('behaviour.json', import.meta.url), 'utf8'));
const port = Number(process.argv[2]);
const part = process.env.SAMPLE_PART ?? 'main';
const WHAT_THEN = { crash, replace };

if (behaviour.exitAtStart || (behaviour.needsFile && !existsSync(behaviour.needsFile))) {
  console.error(`fatal: ${behaviour.version} cannot start: table "ledger" does not exist`);
  process.exit(3);
}

if (part === 'main' && behaviour.daemonises) await daemonise();
else if (part === 'main' && (behaviour.worker || behaviour.keepsPort)) startWorker();
else setTimeout(serve, behaviour.listenAfterMs ?? 0);

if (part !== 'worker' && behaviour.exitAfterMs) setTimeout(crash, behaviour.exitAfterMs);

function crash() {
  console.error('fatal: out of memory');
  process.exit(1);
}

function serve() {
  let asked = 0;
  const server = createServer((request, response) => {
    const isHealth = request.url === '/health';
    if (isHealth && behaviour.neverAnswer) return;
    if (isHealth) asked += 1;
    const status = isHealth ? healthNow(asked) : 200;
    if (status >= 400) console.error(`error: GET /health: connection pool of ${behaviour.version} is empty`);
    const version = (isHealth && behaviour.claimsVersion) || behaviour.version;
    const body = JSON.stringify({ version, status: status === 200 ? 'ok' : 'failing', pid: process.pid });
    const headers = { 'content-type': 'application/json', ...(status === 302 && { location: '/' }) };
    const answer = () => response.writeHead(status, headers).end(body);
    if (isHealth && part === 'main' && asked === behaviour.afterHealth?.count) {
      setTimeout(WHAT_THEN[behaviour.afterHealth.does], behaviour.afterHealth.ms);
    }
    setTimeout(answer, (isHealth && behaviour.answerAfterMs) || 0);
  });
  const where = { port, host: '127.0.0.1', reusePort: Boolean(behaviour.keepsPort) };
  server.on('error', (error) => {
    console.error(`fatal: ${error.message}`);
    if (!behaviour.staysWithoutPort) process.exit(1);
    setInterval(() => {}, 1000);
  });
  server.listen(where, () => console.log(`payments ${behaviour.version} listens on ${port}`));
  process.on('SIGTERM', () => {
    if (behaviour.ignoreTerm) return;
    server.close(() => {
      if (!behaviour.hangsOnStop) process.exit(0);
    });
    server.closeAllConnections();
    if (behaviour.hangsOnStop) setInterval(() => {}, 1000);
  });
}

function healthNow(asked) {
  if (behaviour.flaps) return asked % 2 === 1 ? 503 : 200;
  if (asked === behaviour.failsOnceAt) return 503;
  if (behaviour.healthyWithFile && !existsSync(behaviour.healthyWithFile)) return 503;
  return behaviour.healthStatus;
}

function startPart(name, options) {
  return spawn(process.execPath, process.argv.slice(1), {
    ...options,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SAMPLE_PART: name },
  });
}

/** As a daemon of old: the process that was started is not the one that stays. */
async function daemonise() {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  // The process that started this one notes its pid first, however slow the machine is.
  const noted = () =>
    existsSync('service.pid') && readFileSync('service.pid', 'utf8').trim() === `${process.pid}`;
  while (!noted()) await wait(10);
  replace();
}

function replace() {
  const daemon = startPart('daemon', { detached: true });
  writeFileSync('service.pid', `${daemon.pid}\n`);
  process.exit(0);
}

/**
 * The worker has the port, the main process only stays. With `worker` it ends with it, unless the main process is
 * killed; with `keepsPort` it is left behind.
 */
function startWorker() {
  const worker = startPart('worker', { detached: Boolean(behaviour.keepsPort) });
  process.on('SIGTERM', () => {
    if (behaviour.ignoreTerm) return;
    if (behaviour.keepsPort) process.exit(0);
    worker.once('exit', () => process.exit(0));
    worker.kill('SIGTERM');
  });
}
