// A small but real HTTP service, and the whole of what a version of it contains: plain JavaScript with no
// dependency, so that any Node runs it. `behaviour.json` beside it says which version it is and how it misbehaves.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const behaviour = JSON.parse(readFileSync(new URL('behaviour.json', import.meta.url), 'utf8'));
const port = Number(process.argv[2]);

if (behaviour.exitAtStart) {
  console.error(`fatal: ${behaviour.version} cannot start: table "ledger" does not exist`);
  process.exit(3);
}

const server = createServer((request, response) => {
  if (behaviour.neverAnswer && request.url === '/health') return;
  const ok = request.url !== '/health' || behaviour.healthStatus === 200;
  if (!ok) console.error(`error: GET /health: connection pool of ${behaviour.version} is empty`);
  const body = JSON.stringify({ version: behaviour.version, status: ok ? 'ok' : 'failing' });
  response.writeHead(ok ? 200 : behaviour.healthStatus, { 'content-type': 'application/json' }).end(body);
});
server.listen(port, '127.0.0.1', () => console.log(`payments ${behaviour.version} listens on ${port}`));
if (behaviour.exitAfterMs) {
  setTimeout(() => {
    console.error('fatal: out of memory');
    process.exit(1);
  }, behaviour.exitAfterMs);
}
process.on('SIGTERM', () => {
  if (behaviour.ignoreTerm) return;
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
