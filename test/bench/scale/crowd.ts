import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Measured, measure } from './measure.ts';
import type { World } from './world.ts';

/** A deployment to many simulated agents. */
export interface CrowdFigures {
  agents: number;
  /** The publisher. */
  deployment: Measured;
  /** A rolling deployment: a canary, then batches of a quarter. */
  rolling: Measured;
  status: Measured;
  /** From the announcement until the reply queue had the last ending, ms. */
  answeredMs: number;
}

/** How many agents one process has. */
const EACH = 250;
const LONGEST_MS = 120_000;

export async function measureCrowd(world: World, agents: number): Promise<CrowdFigures> {
  const { cloud, instances, filler, say } = world;
  await filler.versions('app', 5);
  const crowds: ChildProcess[] = [];
  try {
    for (let first = 1; first <= agents; first += EACH) {
      crowds.push(await startCrowd(world, first, Math.min(EACH, agents - first + 1)));
    }
    say(`${agents} agents`);
    const before = cloud.requests.length;
    const deployment = await measure(instances, cloud, ['app', '1.0.1']);
    say(JSON.stringify(deployment));
    const during = cloud.requests.slice(before);
    const announced = during.find(({ operation }) => operation === 'Publish')?.at ?? 0;
    const answered = during.findLast(({ operation }) => operation.startsWith('SendMessage'))?.at ?? 0;
    const rolling = await measure(
      instances,
      cloud,
      'app 1.0.2 --canary 1 --batch 25% --timeout 2m'.split(' '),
    );
    say(JSON.stringify(rolling));
    const status = await measure(instances, cloud, ['status', 'app']);
    say(JSON.stringify(status));
    return { agents, deployment, rolling, status, answeredMs: answered - announced };
  } finally {
    for (const crowd of crowds) crowd.kill('SIGTERM');
    await Promise.all(crowds.map((one) => (one.exitCode === null ? once(one, 'exit') : undefined)));
  }
}

/** Starts a process with agents; resolves when all wait for announcements. It ends on SIGTERM, or when its stdin ends. */
export async function startCrowd(
  { directory, cloud }: Pick<World, 'directory' | 'cloud'>,
  first: number,
  count: number,
): Promise<ChildProcess> {
  const program = join(import.meta.dirname, 'crowd-process.ts');
  const keyFile = join(directory, 'keys', 'ci.pub.json');
  const child = spawn(process.execPath, [program, String(first), String(count), keyFile], {
    env: { PATH: process.env.PATH ?? '', ...cloud.env() },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(LONGEST_MS) }),
    once(child, 'exit'),
  ]);
  if (line !== 'ready') throw new Error(`a process of agents ended: ${line}`);
  return child;
}
