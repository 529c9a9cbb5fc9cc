import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../../support/ports.ts';
import { ZIP } from '../../support/shared/zip.ts';
import { lives, signalGroup } from '../group.ts';
import { detached } from '../instances.ts';
import { listens, untilListening } from './listening.ts';

/**
 * What all peers of the comparison share: simulated hosts, each with a directory and a service; nginx, which serves the
 * artifacts; and sshd, with keys of its own. Everything is below one directory and listens on loopback.
 */

export interface World {
  readonly root: string;
  readonly hosts: number;
  /** The environment of each command of a peer. HOME is below `root`: nobody's own settings are read. */
  readonly env: Record<string, string>;
  /** Where the published files are, by version. */
  readonly published: string;
  healthPort(host: number): number;
  /** Publishes `file`, of `size` bytes, as the artifact of a version. */
  publish(version: string, blob: Blob): Promise<void>;
  /** Leaves only the current release on each host, and a quiet disk. */
  prune(): Promise<void>;
  /** What is wrong with hosts 1 to `hosts` after a deployment of `version`; undefined when all is right. */
  check(hosts: number, version: string, blob: Blob): Promise<string | undefined>;
  /** When the last of the hosts began to listen, ms since the epoch. */
  readyAt(hosts: number): Promise<number>;
  /** Starts a server that `stop` ends. */
  serve(argv: readonly [string, ...string[]], log: string): void;
  stop(): Promise<void>;
}

/** A file and its sha256. */
export interface Blob {
  file: string;
  size: number; // bytes
  sha256: string;
}

/** What must be installed on Debian. */
export const PACKAGES = [
  'ansible-core',
  'clustershell',
  'nginx-light',
  'openssh-server',
  'openssh-client',
  'curl',
  'openssl',
  'python3',
];

const MB = 1_000_000;
/** Hosts listen on this port and the ones after it. */
const BASE_PORT = 21_000;

export async function openWorld(root: string, hosts: number): Promise<World> {
  const [http, ssh] = [await freePort(), await freePort()];
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    HOME: join(root, 'home'),
    BENCH_ROOT: root,
    BENCH_HTTP: `http://127.0.0.1:${http}`,
    BENCH_BASE_PORT: String(BASE_PORT),
  };
  const directories = ['bin', 'home', 'log', 'www', 'nginx', 'ssh', 'ansible'];
  await Promise.all(directories.map((name) => mkdir(join(root, name), { recursive: true })));
  const scripts = join(import.meta.dirname, 'host');
  const numbers = Array.from({ length: hosts }, (_, i) => i + 1);
  for (const script of ['host-deploy', 'floor']) await install(scripts, script, join(root, 'bin'));
  const servers: number[] = [];
  const serve: World['serve'] = (argv, log) => {
    servers.push(detached(argv, join(root, 'log', log), env));
  };
  const world: World = {
    root,
    hosts,
    env,
    published: join(root, 'www'),
    healthPort: (host) => BASE_PORT + host,
    async publish(version, blob) {
      const directory = join(root, 'www', version);
      await mkdir(directory);
      await link(blob.file, join(directory, 'app.bin'));
      await writeFile(join(directory, 'VERSION'), `${version}\n`);
      await writeFile(join(directory, 'SHA256SUMS'), `${blob.sha256}  app.bin\n`);
    },
    async prune() {
      for (const host of numbers) {
        const directory = join(root, `host${host}`);
        const current = basename(await readlink(join(directory, 'current')));
        for (const release of await readdir(join(directory, 'releases')))
          if (release !== current) await rm(join(directory, 'releases', release), { recursive: true });
      }
      execFileSync('sync', ['-f', root]);
    },
    check: (count, version, blob) => checkHosts(world, count, version, blob),
    async readyAt(count) {
      const stamps = numbers
        .slice(0, count)
        .map((host) => readFile(join(root, `host${host}`, 'ready'), 'utf8'));
      return Math.max(...(await Promise.all(stamps)).map((stamp) => Number.parseInt(stamp, 10) / 1e6));
    },
    serve,
    async stop() {
      for (const host of numbers) run(join(root, `host${host}`, 'svc'), ['stop'], env);
      for (const pid of servers) signalGroup(pid, 'SIGTERM');
      for (let tries = 0; tries < 100 && servers.some(lives); tries += 1) await setTimeout(50);
      for (const pid of servers) signalGroup(pid, 'SIGKILL');
    },
  };
  try {
    for (const host of numbers) await layOutHost(root, host, scripts, env);
    await startNginx(world, http);
    await startSshd(world, ssh);
    for (const port of [http, ssh, ...numbers.map((host) => BASE_PORT + host)]) await untilListening(port);
  } catch (error) {
    await world.stop();
    throw error;
  }
  return world;
}

/** One of the ports of so many hosts on which another program listens. */
export async function takenPort(hosts: number): Promise<number | undefined> {
  for (let host = 1; host <= hosts; host += 1) if (await listens(BASE_PORT + host)) return BASE_PORT + host;
  return undefined;
}

/** A jar, as those that start themselves are: a script, and a zip behind it. Between them are random bytes. */
export async function makeBlob(root: string, megabytes: number): Promise<Blob> {
  const file = join(root, `blob-${megabytes}`);
  const hash = createHash('sha256');
  const handle = await open(file, 'w');
  const [head, tail] = [Buffer.from('#!/bin/sh\n'), Buffer.from(ZIP, 'latin1')];
  const parts = [head, ...Array.from({ length: megabytes }, () => MB), tail];
  let size = 0;
  for (const part of parts) {
    const bytes = typeof part === 'number' ? randomBytes(part) : part;
    hash.update(bytes);
    await handle.writeFile(bytes);
    size += bytes.length;
  }
  await handle.sync();
  await handle.close();
  return { file, size, sha256: hash.digest('hex') };
}

/** Each host begins with a release, so that `current` always exists. */
async function layOutHost(root: string, host: number, scripts: string, env: World['env']): Promise<void> {
  const directory = join(root, `host${host}`);
  await mkdir(join(directory, 'releases', 'v0'), { recursive: true });
  await writeFile(join(directory, 'releases', 'v0', 'VERSION'), 'v0\n');
  await writeFile(join(directory, 'releases', 'v0', 'app.bin'), 'x');
  await symlink('releases/v0', join(directory, 'current'));
  for (const script of ['svc', 'service.py']) await install(scripts, script, directory);
  run(join(directory, 'svc'), ['start'], env);
}

async function install(from: string, name: string, to: string): Promise<void> {
  await copyFile(join(from, name), join(to, name));
  await chmod(join(to, name), 0o755);
}

async function startNginx({ root, serve }: World, port: number): Promise<void> {
  const file = join(root, 'nginx', 'nginx.conf');
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${root}/nginx;`,
  );
  await writeFile(
    file,
    `daemon off; user root; worker_processes 2; pid ${root}/nginx/pid; error_log ${root}/log/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 30; ${places.join(' ')}
  server { listen 127.0.0.1:${port} backlog=512; root ${root}/www; default_type application/octet-stream; }
}
`,
  );
  serve(['/usr/sbin/nginx', '-c', file, '-e', join(root, 'log', 'nginx.log')], 'nginx.out');
}

async function startSshd({ root, hosts, env, serve }: World, port: number): Promise<void> {
  const ssh = join(root, 'ssh');
  for (const name of ['hostkey', 'key'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', join(ssh, name)]);
  await copyFile(join(ssh, 'key.pub'), join(ssh, 'authorized_keys'));
  const [type, key] = (await readFile(join(ssh, 'hostkey.pub'), 'utf8')).split(' ');
  await writeFile(join(ssh, 'known_hosts'), `[127.0.0.1]:${port} ${type} ${key}\n`);
  const passed = ['HOME', 'BENCH_ROOT', 'BENCH_HTTP', 'BENCH_BASE_PORT'] as const;
  await writeFile(
    join(ssh, 'sshd_config'),
    `ListenAddress 127.0.0.1
Port ${port}
HostKey ${ssh}/hostkey
PidFile none
AuthorizedKeysFile ${ssh}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root
MaxStartups 200
MaxSessions 100
UseDNS no
PrintMotd no
PrintLastLog no
AcceptEnv BENCH_HOST
SetEnv ${passed.map((name) => `${name}=${env[name]}`).join(' ')}
`,
  );
  const each = Array.from({ length: hosts }, (_, i) => `Host bench${i + 1}\n  SetEnv BENCH_HOST=${i + 1}\n`);
  await writeFile(
    join(ssh, 'config'),
    `${each.join('')}Host bench*
  HostName 127.0.0.1
  Port ${port}
  User root
  IdentityFile ${ssh}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${ssh}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
`,
  );
  // The fixed, empty directory of sshd: sshd(8).
  if (!existsSync('/run/sshd')) await mkdir('/run/sshd', { mode: 0o755 });
  serve(
    ['/usr/sbin/sshd', '-D', '-f', join(ssh, 'sshd_config'), '-E', join(root, 'log', 'sshd.log')],
    'sshd.out',
  );
}

async function checkHosts(
  world: World,
  count: number,
  version: string,
  blob: Blob,
): Promise<string | undefined> {
  for (let host = 1; host <= count; host += 1) {
    const answer = await fetch(`http://127.0.0.1:${world.healthPort(host)}/health`).then((one) => one.text());
    if (!answer.includes(`"${version}"`)) return `host${host} answers ${answer.trim()}`;
    const directory = join(world.root, `host${host}`);
    const target = await readlink(join(directory, 'current'));
    if (target !== `releases/${version}`) return `host${host}: current is ${target}`;
    const { size, nlink } = await stat(artifactOf(directory));
    if (size !== blob.size || nlink !== 1) return `host${host} has no copy of its own`;
  }
  const last = await open(artifactOf(join(world.root, `host${count}`)));
  const hash = createHash('sha256');
  for await (const part of last.createReadStream({ highWaterMark: MB })) hash.update(part);
  return hash.digest('hex') === blob.sha256 ? undefined : `host${count} has wrong bytes`;
}

/** trigger-deploy names the file of a jar after its service. */
function artifactOf(directory: string): string {
  const jar = join(directory, 'current', 'app.jar');
  return existsSync(jar) ? jar : join(directory, 'current', 'app.bin');
}

function run(file: string, args: readonly string[], env: World['env']): void {
  execFileSync(file, args, { env, stdio: 'ignore' });
}
