import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../../shared/errors.ts';
import { freePort } from '../ports.ts';

/**
 * A real haproxy (Debian's package) in front of some servers. It neither retries nor checks anybody's health: that a
 * server is restarted must be known to it by its runtime API alone, or requests fail.
 */
export interface Haproxy {
  /** The hook that takes a server out of traffic, or gives it back: an argv. */
  hook(action: 'drain' | 'ready', server: string): string[];
  /** Takes requests for these servers, each a port of this machine, at the URL returned. @throws where it is missing. */
  start(servers: Readonly<Record<string, number>>): Promise<string>;
  /** The servers that get no requests now. */
  drained(): Promise<string[]>;
  stop(): Promise<void>;
}

const SERVER_HOOK = fileURLToPath(new URL('haproxy-server.mjs', import.meta.url));
const BACKEND = 'payments';
/** ms */
const UP_WITHIN = 20_000;

export function haproxyIn(dir: string): Haproxy {
  const socket = join(dir, 'haproxy.sock');
  let stop = async () => {};
  return {
    hook: (action, server) => [process.execPath, SERVER_HOOK, action, socket, BACKEND, server],
    async start(servers) {
      const port = await freePort();
      const file = join(dir, 'haproxy.cfg');
      const lines = Object.entries(servers).map(([name, at]) => `  server ${name} 127.0.0.1:${at}`);
      await writeFile(file, configOf(socket, port, lines));
      const haproxy = spawn('haproxy', ['-db', '-f', file], {
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      haproxy.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const ended = once(haproxy, 'close').catch((error: unknown) => {
        said = `${messageOf(error)}: apt-get install haproxy`;
      });
      stop = async () => {
        haproxy.kill('SIGKILL');
        await ended;
      };
      await Promise.race([
        answers(port),
        ended.then(() => {
          throw new Error(`haproxy does not run: ${said}`);
        }),
      ]);
      return `http://127.0.0.1:${port}/`;
    },
    async drained() {
      const rows = (await say(socket, 'show servers state')).split('\n').map((row) => row.split(' '));
      // Columns 4 and 7 of its format 1: the name, and what the administrator wants; 8 is DRAIN.
      return rows.flatMap(([, , , name = '', , , wanted]) => (Number(wanted) & 8 ? [name] : []));
    },
    stop: () => stop(),
  };
}

const configOf = (socket: string, port: number, servers: readonly string[]) => `global
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 10s
  retries 0
frontend everybody
  bind 127.0.0.1:${port}
  default_backend ${BACKEND}
backend ${BACKEND}
  balance roundrobin
${servers.join('\n')}
`;

async function say(socket: string, command: string): Promise<string> {
  const connection = connect(socket).setEncoding('utf8');
  connection.end(`${command}\n`);
  return (await connection.toArray()).join('');
}

async function answers(port: number): Promise<void> {
  const until = performance.now() + UP_WITHIN;
  while (!(await accepts(port))) {
    if (performance.now() > until) throw new Error(`haproxy does not listen on ${port}`);
    await sleep(20);
  }
}

async function accepts(port: number): Promise<boolean> {
  const connection = connect(port, '127.0.0.1');
  const accepted = await once(connection, 'connect').then(
    () => true,
    () => false,
  );
  connection.destroy();
  return accepted;
}
