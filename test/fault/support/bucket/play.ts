import { expect } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import type { RunningVerb } from '../../../support/publisher/run-verb.ts';
import { type About, type Made, make, undo } from './changes.ts';
import type { Combination, Command } from './combinations.ts';
import { type BucketWorld, PROMOTED, SERVICE, VERSIONS } from './world.ts';

/** Plays one combination: a command on a changed bucket, then the bucket set right and the next deployment. */

/** How long a command waits for its instances, ms, and how long it may last at all. */
const TIMEOUT = '10s';
const BOUND_MS = 60_000;
/** Somebody who waits at a gate reads the decisions within 2 s. */
const AT_GATE_MS = 500;
const READS_DECISIONS_MS = 2600;

const ONCE = ['--timeout', TIMEOUT];
const IN_WAVES = ['--canary', '1', '--batch', '1', '--confirm'];

/** The event of a command that waits at a gate; a resumed one waits there from the start. */
const GATES: Partial<Record<Command, PublisherEvent['type']>> = { rolling: 'waiting', resume: 'started' };

export interface Played {
  /** What came of the command: its exit code, or the code of its error. */
  ended: string;
  /** Whether anything was replaced at all. */
  changed: boolean;
}

/** @throws when an invariant does not hold. */
export async function play(world: BucketWorld, combination: Combination): Promise<Played> {
  const { command, changes, when, after } = combination;
  const about = await aboutNow(world);
  const id = await prepare(world, command, about);
  world.remember();
  const before = await highest(world);
  const made: Made[] = [];
  const change = async () => {
    const now = { ...about, newest: (await newestOf(world)) ?? about.newest };
    for (const one of changes) {
      const done = make(world, one, now);
      if (done) made.push(done);
    }
  };
  if (when === 'before') await change();
  const touchesDecisions = changes.some(({ object }) => /confirm|cancel|pause/.test(object));
  const running = await start(world, command, { about, id });
  const changing = when === 'during' ? whenReached(world, running, { after, command, change }) : undefined;
  await gateHolds(world, running, {
    about,
    holdMs: touchesDecisions ? READS_DECISIONS_MS : AT_GATE_MS,
    ready: changing,
    command,
  });
  const ended = await bounded(running, combination);
  await changing;
  expect(await world.ranEvil(), 'the evil package ran').toBe(false);
  for (const one of made.toReversed()) undo(world, one);
  await setRight(world);
  const next = about.wanted === VERSIONS[2] ? VERSIONS[0] : VERSIONS[2];
  await works(world, next, before);
  return { ended, changed: made.length > 0 };
}

async function aboutNow(world: BucketWorld): Promise<About> {
  const { desired, deployments } = world.session.record;
  const running = (await desired.read(SERVICE))?.value.version ?? VERSIONS[0];
  const [newest, past] = await deployments.recent(SERVICE);
  const wanted = VERSIONS.find((version) => version !== running) ?? VERSIONS[0];
  return {
    ...{ running, wanted },
    newest: newest?.value.deployment ?? '',
    past: past?.value.deployment ?? newest?.value.deployment ?? '',
  };
}

/** The id of the newest deployment folder: the record in it may not be readable. */
const newestOf = async ({ session }: BucketWorld): Promise<string | undefined> =>
  (await session.record.objects.folders(`state/dev/${SERVICE}/deployments/`)).at(-1);

async function highest({ session: { record } }: BucketWorld): Promise<number> {
  return (await record.deployments.recent(SERVICE))[0]?.value.sequence ?? 0;
}

/** What a command needs before it. Returns the id of the deployment that it is about. */
async function prepare(world: BucketWorld, command: Command, about: About): Promise<string> {
  if (command === 'unpause') await done(world, ['pause', SERVICE, '--reason', 'test']);
  if (command === 'watch') {
    const left = await done(world, [SERVICE, about.wanted, '--no-wait', ...ONCE]);
    return startedId(left.events);
  }
  if (command === 'resume') {
    const left = await world.command([SERVICE, about.wanted, ...IN_WAVES, ...ONCE, '--env', 'dev']);
    await reached(left, 'waiting');
    left.interrupt();
    await left.ended;
    return startedId(left.events);
  }
  return '';
}

const startedId = (events: readonly PublisherEvent[]): string => {
  const started = events.find((event) => event.type === 'started');
  return started?.type === 'started' ? started.deployment : '';
};

async function start(
  world: BucketWorld,
  command: Command,
  { about, id }: { about: About; id: string },
): Promise<RunningVerb> {
  const argv: Record<Command, string[]> = {
    deploy: [SERVICE, about.wanted, ...ONCE],
    rolling: [SERVICE, about.wanted, ...IN_WAVES, ...ONCE],
    resume: ['resume', id, ...ONCE],
    watch: ['watch', id, ...ONCE],
    rollback: ['rollback', SERVICE, ...ONCE],
    'rollback --to': ['rollback', SERVICE, '--to', about.wanted, ...ONCE],
    promote: ['promote', SERVICE, '--from', 'stg', '--to', 'dev', '--version', PROMOTED, ...ONCE],
    restart: ['restart', SERVICE, ...ONCE],
    status: ['status', SERVICE],
    history: ['history', SERVICE],
    pause: ['pause', SERVICE, '--reason', 'test'],
    unpause: ['unpause', SERVICE],
  };
  const env = command === 'promote' ? [] : ['--env', 'dev'];
  return await world.command([...argv[command], ...env]);
}

/** Makes the change once the command has sent so many requests, or waits at its gate, or has ended. */
async function whenReached(
  { fleet: { cloud } }: BucketWorld,
  running: RunningVerb,
  { after, command, change }: { after: number; command: Command; change: () => Promise<void> },
): Promise<void> {
  const from = cloud.requests.length;
  const isOwn = (accessKeyId: string | undefined) => accessKeyId === 'publisher';
  const over = new AbortController();
  const sent = () => cloud.requests.slice(from).filter((one) => isOwn(one.accessKeyId)).length >= after;
  const ended = running.ended.then(() => over.abort());
  const gate = GATES[command];
  const reachedIt = gate ? reached(running, gate) : cloud.until(sent, over.signal);
  await Promise.race([reachedIt.catch(() => undefined), ended]);
  await change();
}

/** While nobody decides, at most one instance switches. Then a person cancels. */
async function gateHolds(
  world: BucketWorld,
  running: RunningVerb,
  {
    about,
    holdMs,
    ready,
    command,
  }: { about: About; holdMs: number; ready: Promise<void> | undefined; command: Command },
): Promise<void> {
  const gate = GATES[command];
  if (gate === undefined || !(await reached(running, gate))) return;
  await ready;
  await Promise.race([running.ended, world.session.clock.sleep(holdMs, new AbortController().signal)]);
  const { fleet } = world;
  const run = await Promise.all(fleet.instances.map(world.versionOf));
  expect(run.filter((version) => version === about.wanted).length, 'switched instances').toBeLessThan(2);
  const waves = running.events.filter((event) => event.type === 'wave' && event.wave > 1);
  expect(waves, 'a gate opened without a decision').toEqual([]);
  running.interrupt();
}

/** Resolves to true when the command emits the event, and to false when it ends without it. */
async function reached(running: RunningVerb, type: PublisherEvent['type']): Promise<boolean> {
  const has = () => running.events.some((event) => event.type === type);
  await Promise.race([running.until(has), running.ended]);
  return has();
}

async function bounded(running: RunningVerb, { command }: Combination): Promise<string> {
  const timer = new AbortController();
  const late = AbortSignal.any([timer.signal, AbortSignal.timeout(BOUND_MS)]);
  const limit = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error(`${command} did not end in ${BOUND_MS} ms`)), {
      once: true,
    });
  });
  const ended = await Promise.race([running.ended, limit]);
  limit.catch(() => undefined);
  timer.abort();
  if (!('error' in ended)) return `exit code ${ended.code}`;
  expect(ended.error.code, ended.error.stack ?? '').not.toBe('INTERNAL');
  expect(ended.error.message).toMatch(/^\S.*\S$/);
  return ended.error.code;
}

/** What an operator does once the bucket is as it was: `doctor --repair`, and no pause that nobody wants. */
async function setRight(world: BucketWorld): Promise<void> {
  await done(world, ['doctor', SERVICE, '--repair']);
  await done(world, ['unpause', SERVICE]);
  await done(world, ['unpause']);
}

async function works(world: BucketWorld, version: string, before: number): Promise<void> {
  const { fleet } = world;
  const deploying = await done(world, [SERVICE, version, '--timeout', '30s']);
  expect(deploying.ended, `the next deployment: ${notes(deploying.events)}`).toBe('exit code 0');
  for (const instance of fleet.instances) {
    expect(await world.versionOf(instance), instance.id).toBe(version);
  }
  expect(await world.ranEvil(), 'the evil package ran').toBe(false);
  expect(await highest(world), 'the sequence').toBeGreaterThan(before);
}

const notes = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => ('text' in event && event.text ? [event.text] : [])).join(' | ');

/** Runs a command to its end. */
async function done(
  world: BucketWorld,
  argv: readonly string[],
): Promise<{ ended: string; events: readonly PublisherEvent[] }> {
  const running = await world.command([...argv, '--env', 'dev']);
  const ended = await running.ended;
  const said = 'error' in ended ? `${ended.error.code}: ${ended.error.message}` : `exit code ${ended.code}`;
  return { ended: said, events: running.events };
}
