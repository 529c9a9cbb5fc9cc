import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { Artifact } from '../../../../shared/manifest.ts';
import { newUlid } from '../../../../shared/names.ts';
import { generateKeys, loadSigner, type Signer } from '../../../../shared/signing.ts';
import { killMarked, markOf } from '../../../support/fleet/marked-processes.ts';
import { makeConfig, makePackage } from './packages.ts';
import { ENV, type Event, type KillPoint, type PackageKind, SERVICE, type World } from './plan.ts';
import { BAD, GOOD, type Scenario, STUCK, VERSIONS } from './scenarios.ts';

/** Where the cases of a kill matrix are played: the agent as one file, the artifacts, and instances to copy. */
export interface Stage {
  readonly dir: string;
  /** The files of a version of this kind. */
  artifactsOf(type: PackageKind, version: string): readonly Artifact[];
  content(artifact: Artifact): Promise<Buffer>;
  /** A new instance in a scenario, its service running as it did before. */
  open(type: PackageKind, scenario: Scenario): Promise<Root>;
  close(): Promise<void>;
}

/** One instance: a directory, an address of its own, and an agent to start and to be killed. */
export interface Root {
  readonly dir: string;
  readonly world: World;
  /** One life of the agent; the signal that ended it, or its exit code. `killAfter` kills it from outside, in ms. */
  live(point?: KillPoint, killAfter?: number): Promise<NodeJS.Signals | number | 'stuck'>;
  events(): Event[];
  close(): Promise<void>;
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
/** Below the ports that systems give away by themselves. Each instance has an address of its own. */
const PORT = 20_517;
const LIFE_LIMIT_MS = 45_000;
/** A fifth less work: a life is too short to collect garbage in. */
const NODE_FLAGS = ['--min-semi-space-size=32', '--single-threaded-gc'];

export async function openStage(): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'td-kill-'));
  try {
    await Promise.all(['bucket', 'templates', 'roots'].map((name) => mkdir(join(dir, name))));
    const { privateJwk, publicJwk } = await generateKeys();
    await writeFile(join(dir, 'key.json'), JSON.stringify(privateJwk), { mode: 0o600 });
    await writeFile(join(dir, 'key.pub.json'), JSON.stringify(publicJwk));
    await bundleAgent(join(dir, 'kill-agent.mjs'));
    const stage = await furnish(dir, await loadSigner(join(dir, 'key.json')));
    return stage;
  } catch (error) {
    await end(dir);
    throw error;
  }
}

/** Once for hundreds of starts: from source each would take several times as long. */
async function bundleAgent(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('./agent.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: "import { createRequire as r } from 'node:module'; const require = r(import.meta.url);" },
    logLevel: 'warning',
  });
}

async function furnish(dir: string, signer: Signer): Promise<Stage> {
  const artifacts = new Map<string, Artifact[]>();
  for (const type of ['jar', 'archive'] as const) {
    for (const version of VERSIONS) {
      artifacts.set(`${type} ${version}`, [
        await makePackage(dir, type, version),
        await makeConfig(dir, version),
      ]);
    }
  }
  let opened = 0;
  const closing = new AbortController();
  const templates = new Map<string, Promise<string>>();

  const stage: Stage = {
    dir,
    artifactsOf: (type, version) => artifacts.get(`${type} ${version}`) ?? [],
    content: ({ sha256 }) => readFile(join(dir, 'bucket', sha256)),
    async open(type, scenario) {
      const name = `${type} ${scenario.runs}`;
      const template = templates.get(name) ?? makeTemplate(type, scenario.runs);
      templates.set(name, template);
      const root = await place(type, scenario, await template);
      if (scenario.runs !== null) await startService(root);
      await writeFile(join(root.dir, 'events.jsonl'), '');
      return root;
    },
    async close() {
      closing.abort(new Error('the stage is closed'));
      await end(dir);
    },
  };

  async function place(type: PackageKind, scenario: Scenario, template?: string): Promise<Root> {
    closing.signal.throwIfAborted();
    opened += 1;
    const number = opened;
    const root = join(dir, 'roots', String(number));
    if (template === undefined) {
      for (const name of ['', 'inbox', 'run', 'outside']) await mkdir(join(root, name));
      await writeFile(join(root, 'outside', 'sentinel'), 'not ours');
    } else {
      await promisify(execFile)('cp', ['-a', template, root]);
    }
    const world: World = {
      type,
      host: `127.${1 + (process.pid % 250)}.${Math.floor(number / 250)}.${1 + (number % 250)}`,
      port: PORT,
      node: process.execPath,
      control: path('control.sh'),
      hook: path('hook.sh'),
      bucket: join(dir, 'bucket'),
      publicKey: join(dir, 'key.pub.json'),
      gates: {},
      stuck: [STUCK],
      bad: [BAD],
      deployments: Object.keys(scenario.endings),
    };
    const artifactsOf = (version: string) => stage.artifactsOf(type, version);
    await writeInbox(root, world, scenario, { signer, artifactsOf });
    await writeFile(join(root, 'world.json'), JSON.stringify(world));
    await writeFile(join(root, 'events.jsonl'), '');
    return rootAt(root, world, { agent: join(dir, 'kill-agent.mjs'), closing: closing.signal });
  }

  /** Made by the agent itself, one deployment after the other. */
  async function makeTemplate(type: PackageKind, runs: string | null): Promise<string> {
    const versions = runs === null ? [] : GOOD.slice(0, GOOD.indexOf(runs as (typeof GOOD)[number]) + 1);
    let template: string | undefined;
    const nothing = { runs: null, endings: {}, runsAfter: [], restarts: true, announced: [] };
    for (const [i, version] of versions.entries()) {
      const deployment = newUlid(1_700_000_000_000 + i);
      const root = await place(
        type,
        {
          ...nothing,
          announced: [{ kind: 'deploy', id: deployment, version, sequence: i + 1 }],
          endings: { [deployment]: {} },
        },
        template,
      );
      if (i > 0) await startService(root);
      const ended = await root.live();
      if (ended !== 0) throw new Error(`no template: ${ended}: ${readFileSync(join(root.dir, 'agent.log'))}`);
      await killMarked(root.dir);
      template = join(dir, 'templates', `${type}-${i}`);
      await rename(root.dir, template);
    }
    if (template !== undefined) return template;
    const root = await place(type, nothing);
    const empty = join(dir, 'templates', `${type}-empty`);
    await rename(root.dir, empty);
    return empty;
  }

  return stage;
}

async function writeInbox(
  root: string,
  world: World,
  { announced, desired, flags = [] }: Scenario,
  { signer, artifactsOf }: { signer: Signer; artifactsOf: (version: string) => readonly Artifact[] },
): Promise<void> {
  const now = Date.now();
  const at = (ms: number) => new Date(now + ms).toISOString();
  for (const [i, one] of announced.entries()) {
    const { id, gate, ...rest } = one;
    const text = await signer.sign('td-announcement+jws', {
      ...{ v: 1, deployment: id, env: ENV, service: SERVICE, issuedBy: 'kill matrix', ...rest },
      ...{ issuedAt: at(0), expiresAt: at(30 * 60_000) },
      ...('version' in one && { action: 'deploy', artifacts: artifactsOf(one.version) }),
    });
    await writeFile(join(root, 'inbox', `${i}.jws`), text);
    if (gate !== undefined) world.gates[`${i}.jws`] = gate;
  }
  for (const flag of flags) await writeFile(join(root, 'run', flag), '');
  if (!desired) return;
  const { id, version, sequence } = desired;
  const text = await signer.sign('td-desired+jws', {
    ...{ v: 1, env: ENV, service: SERVICE, version, sequence, deployment: id, action: 'deploy' },
    ...{ artifacts: artifactsOf(version), changedAt: at(0), changedBy: 'kill matrix', nonce: 'n' },
  });
  await writeFile(join(root, 'desired.jws'), text);
}

function rootAt(
  dir: string,
  world: World,
  { agent, closing }: { agent: string; closing: AbortSignal },
): Root {
  return {
    dir,
    world,
    async live(point, killAfter) {
      closing.throwIfAborted();
      const words = point ? [point.method, String(point.n), point.phase] : [];
      const log = await open(join(dir, 'agent.log'), 'a');
      const child = spawn(process.execPath, [...NODE_FLAGS, agent, dir, ...words], {
        cwd: dir,
        env: { PATH: process.env.PATH, ...markOf(dir), NODE_COMPILE_CACHE: join(agent, '..', 'compiled') },
        stdio: ['ignore', log.fd, log.fd],
      });
      let stuck = false;
      const limit = setTimeout(() => {
        stuck = true;
        child.kill('SIGKILL');
      }, LIFE_LIMIT_MS);
      const killer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      clearTimeout(limit);
      clearTimeout(killer);
      await log.close();
      return stuck ? 'stuck' : (signal ?? code ?? 'stuck');
    },
    events: () => readFileSync(join(dir, 'events.jsonl'), 'utf8').split('\n').slice(0, -1).flatMap(eventIn),
    async close() {
      await killMarked(dir);
      await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** A kill from outside may cut a line short: then the next one follows it without a break. */
function eventIn(line: string): Event[] {
  try {
    return [JSON.parse(line.slice(line.lastIndexOf('{"what":'))) as Event];
  } catch {
    return [];
  }
}

async function startService({ dir, world }: Root): Promise<void> {
  const script = world.type === 'jar' ? `${SERVICE}.jar` : 'server.cjs';
  const server = [world.node, join(dir, 'service', 'current', script), world.host, String(world.port)];
  const child = spawn('/bin/sh', [world.control, 'start', dir, ...server], {
    env: { PATH: process.env.PATH, ...markOf(dir) },
    stdio: 'ignore',
  });
  await once(child, 'exit');
}

async function end(dir: string): Promise<void> {
  await killMarked(dir);
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
}
