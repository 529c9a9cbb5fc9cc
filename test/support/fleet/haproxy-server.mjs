// Takes a server of a running haproxy out of traffic, and gives it back, by haproxy's runtime API: what an operator
// would put into the hooks. usage: haproxy-server.mjs drain|ready SOCKET BACKEND SERVER
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** ms; the hook has a bound of its own, beyond this one. */
const DRAINED_WITHIN = 10_000;

const [action, socket, backend, server] = process.argv.slice(2);

if (action === 'ready') await say(`set server ${backend}/${server} state ready`);
else if (action === 'drain') await drain();
else throw new Error(`no such action: ${action}`);

async function drain() {
  await say(`set server ${backend}/${server} state drain`);
  const until = performance.now() + DRAINED_WITHIN;
  for (;;) {
    const { status, scur, qcur } = await statistics();
    if (status.startsWith('DRAIN') && scur === '0' && qcur === '0') return;
    if (performance.now() > until) throw new Error(`${server}: ${scur} requests after ${DRAINED_WITHIN} ms`);
    await sleep(20);
  }
}

/** The line of `show stat` that is about the server, by its column names. */
async function statistics() {
  const [head, ...rows] = (await say('show stat')).trim().split('\n');
  const names = head.replace(/^# /, '').split(',');
  const found = rows
    .map((row) => Object.fromEntries(row.split(',').map((value, i) => [names[i], value])))
    .find(({ pxname, svname }) => pxname === backend && svname === server);
  if (!found) throw new Error(`haproxy knows no server ${backend}/${server}`);
  return found;
}

/** One command. haproxy answers a `set` that it accepts with an empty line, and any other with what is wrong. */
async function say(command) {
  const connection = connect(socket).setEncoding('utf8');
  let answer = '';
  connection.on('data', (text) => {
    answer += text;
  });
  connection.end(`${command}\n`);
  await once(connection, 'close');
  if (command.startsWith('set ') && answer.trim() !== '') throw new Error(answer.trim());
  return answer;
}
