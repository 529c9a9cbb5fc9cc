import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  COMPILING,
  type Compiled,
  type Compiling,
  checksum,
  described,
  openDescribed,
} from './chunk-files.ts';
import { openMockCloud } from './mock-cloud.ts';

/**
 * Writes `NAME.compiled`: V8's compiled code of the functions that a program needs, so that it starts in half the time.
 * V8 gives the code only of functions that have run. So this runs the program some times, in an empty directory, with an
 * AWS that is a server of this process on the loopback interface. `npm run build` and the installation of a package run
 * it as `node compile.js`. The program works without the file.
 */

/** The bundler puts the name of the program here. */
declare const PROGRAM: 'trigger-deploy' | 'trigger-deploy-agent';

/** How long one run may take, and for how long the agent runs, ms. */
const RUN_LIMIT_MS = 10_000;
const AGENT_RUNS_MS = 1500;

const file = join(__dirname, `${PROGRAM}.compiled`);

if (require.main === module) void compile();
else storeAtExit();

/** Node loads this file before the program (`--require`): at the end of the run the code of its functions is stored. */
function storeAtExit(): void {
  const compiling: Compiling = { for: '', scripts: new Map() };
  Object.assign(globalThis, { [COMPILING]: compiling });
  // For when the process that would end it was killed: an agent runs until it is ended.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), RUN_LIMIT_MS).unref();
  process.on('exit', () => {
    const code = new Map(earlier(compiling.for));
    for (const [id, script] of compiling.scripts) code.set(id, script.createCachedData());
    store(compiling.for, code);
  });
}

/** What earlier runs stored. */
function earlier(compiledFor: string): [string, Buffer][] {
  try {
    const { head, read } = openDescribed<Compiled>(file);
    if (head.for !== compiledFor) return [];
    return Object.entries(head.code).map(([id, [offset, length]]) => [id, read(offset, length)]);
  } catch {
    return [];
  }
}

function store(compiledFor: string, code: ReadonlyMap<string, Buffer>): void {
  const head: Compiled = { for: compiledFor, code: {} };
  let offset = 0;
  for (const [id, bytes] of code) {
    head.code[id] = [offset, bytes.length, checksum(bytes)];
    offset += bytes.length;
  }
  writeFileSync(`${file}.new`, Buffer.concat([Buffer.from(described(head)), ...code.values()]), {
    mode: 0o644,
  });
  renameSync(`${file}.new`, file);
}

async function compile(): Promise<void> {
  process.umask(0o022);
  await rm(file, { force: true });
  const directory = await mkdtemp(join(tmpdir(), `${PROGRAM}-compile-`));
  process.on('exit', () => {
    running?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));
  // A container may have no loopback interface.
  const cloud = await openMockCloud().catch(() => undefined);
  try {
    const place = { PATH: process.env.PATH, HOME: directory };
    const aws = { AWS_ENDPOINT_URL: cloud?.url, AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud?.url };
    const keys = { AWS_ACCESS_KEY_ID: 'compile', AWS_SECRET_ACCESS_KEY: 'compile' };
    for (const argv of await runs(directory)) {
      // An agent has the credentials of its instance. Of the commands some have them, and some have variables.
      const env = { ...place, ...aws, ...(HAVE_KEYS.includes(argv[0] ?? '') && keys) };
      // Without AWS each run would wait until it gives up.
      if (cloud !== undefined || argv[0] === '--help') await run(argv, { cwd: directory, env });
    }
  } finally {
    cloud?.close();
  }
}

/** The program, while it runs. */
let running: ChildProcess | undefined;

/** Runs the program. What it answers does not matter. */
async function run(
  argv: readonly string[],
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<void> {
  const program = [...process.execArgv, '--require', __filename, join(__dirname, `${PROGRAM}.js`), ...argv];
  const child = spawn(process.execPath, program, { cwd, env, stdio: 'ignore' });
  running = child;
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  const ended = once(child, 'exit');
  const stop = argv[0] === 'run' ? setTimeout(() => child.kill('SIGTERM'), AGENT_RUNS_MS) : undefined;
  await ended.catch(() => undefined);
  clearTimeout(limit);
  clearTimeout(stop);
  running = undefined;
}

const HAVE_KEYS = ['push', 'app'];
const AWS = { region: 'eu-west-1', bucket: 'compile-compile', pathStyle: true };
const topic = 'arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev';

const runs = PROGRAM === 'trigger-deploy' ? publisherRuns : agentRuns;

async function publisherRuns(directory: string): Promise<string[][]> {
  const environments = { dev: { ...AWS, topic, signingKey: 'compile.key.json' } };
  await writeFile(join(directory, 'trigger-deploy.yaml'), JSON.stringify({ home: 'dev', environments }));
  // An empty zip.
  await writeFile(join(directory, 'app.jar'), Buffer.from('504b0506'.padEnd(44, '0'), 'hex'));
  return [
    ['keygen', '--out', '.', '--name', 'compile'],
    ['--help'],
    ['push', 'app', '1', 'app.jar', '--env', 'dev'],
    ['app', '1', '--env', 'dev', '--no-wait'],
    ['app', '1', '--env', 'dev', '--timeout', '1s'],
    ['status', '--env', 'dev'],
    ['history', 'app', '--env', 'dev'],
  ];
}

async function agentRuns(directory: string): Promise<string[][]> {
  const no = ['/bin/false'];
  const services = {
    app: {
      package: { type: 'jar', dir: join(directory, 'app') },
      manager: { type: 'command', start: no, stop: no, status: no },
    },
  };
  const state = join(directory, 'state');
  const config = { ...AWS, env: 'dev', topic, trust: 'none', instance: 'compile', state, services };
  const path = join(directory, 'agent.yaml');
  await mkdir(join(directory, 'app'));
  await writeFile(path, JSON.stringify(config));
  return [['--help'], ['run', '--config', path], ['status', '--config', path]];
}
