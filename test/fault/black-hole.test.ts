import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { exitCodeOf } from '../../publisher/cli/error-output.ts';
import { deploy } from '../../publisher/commands/deploy.ts';
import type { Clock } from '../../shared/clock.ts';
import { packSampleService } from '../support/fleet/sample-service/package.ts';
import { systemClock } from '../support/host/clock.ts';
import { options } from '../support/publisher/deploy-fixture.ts';
import { runVerb } from '../support/publisher/run-verb.ts';
import { isAsked, openStage, type Stage } from '../support/publisher/stage.ts';
import { proved } from '../support/reliability.ts';

/**
 * An AWS service that accepts each connection and never answers, for each verb of the publisher. All verbs run side by
 * side in this process, on timers that run ahead while the cloud owes no answer.
 */

type Service = 'S3' | 'SNS' | 'SQS';

const T = ['--timeout', '30s'];
/** The words after `trigger-deploy`, for a service and the id of a rollout of it that waits for a confirmation. */
const VERBS: Record<string, (service: string, id: string) => string[]> = {
  deploy: (service) => [service, '1.0.0', ...T],
  'deploy --no-wait': (service) => [service, '1.0.0', '--no-wait', ...T],
  'deploy in waves': (service) => [service, '1.0.0', '--canary', '1', ...T],
  'deploy --queue': (service) => [service, '1.0.0', '--queue', ...T],
  plan: (service) => ['plan', service, '1.0.0'],
  rollback: (service) => ['rollback', service, ...T],
  restart: (service) => ['restart', service, ...T],
  push: (service) => ['push', service, '1.2.0', archive],
  confirm: (_, id) => ['confirm', id],
  cancel: (_, id) => ['cancel', id],
  resume: (_, id) => ['resume', id, ...T],
  watch: (_, id) => ['watch', id, ...T],
  show: (_, id) => ['show', id],
  pause: (service) => ['pause', service, '--reason', 'a test'],
  unpause: (service) => ['unpause', service],
  history: (service) => ['history', service],
  versions: (service) => ['versions', service],
  status: () => ['status'],
  'status SERVICE': (service) => ['status', service],
  'status --all': () => ['status', '--all'],
};

/** The verbs that ask for each service. */
const ASKING: Record<Service, readonly string[]> = {
  S3: Object.keys(VERBS),
  SNS: [
    ...['deploy', 'deploy --no-wait', 'deploy in waves', 'deploy --queue', 'plan', 'rollback', 'restart'],
    ...['status', 'status SERVICE', 'status --all'],
  ],
  SQS: [
    ...['deploy', 'deploy in waves', 'deploy --queue', 'plan', 'rollback', 'restart'],
    ...['status', 'status SERVICE', 'status --all'],
  ],
};
const GATED = {
  ...{ name: 'rolling' as const, canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'person' as const, autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
/** How often time moves on, and by how much at once; real and virtual ms. */
const [TICK_MS, STEP_MS] = [5, 100];
/** A call has a deadline of 20 s, a verb makes a few calls after each other, and `--timeout` is 30 s; virtual ms. */
const ENDS_MS = 120_000;
const INTERRUPTED_MS = 15_000;
const INTERRUPTED = /^(INTERRUPTED|CANCELLED)$/;
const UNREACHABLE = /^(AWS_UNREACHABLE|TIMEOUT)$/;

let stage: Stage;
let archive = '';
const rollouts = new Map<string, string>();
/** A service of its own for each verb that gets far enough to take the lock. */
const nameOf = (service: Service, verb: string) =>
  service === 'S3' ? 's3' : `${service}-${verb}`.toLowerCase().replace(/[^a-z]+/g, '-');
const hole = createServer((socket: Socket) => void socket.on('error', () => undefined).resume());

/** As the system's clock, but it looks up the timers at each call, which a test may have replaced. */
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal.addEventListener('abort', onAbort, { once: true });
    }),
};

beforeAll(async () => {
  await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
  stage = await openStage();
  archive = await packSampleService(await mkdtemp(join(tmpdir(), 'black-hole-')), '1.2.0');
  const agents = [await stage.agent('i-1'), await stage.agent('i-2')];
  const prepare = async (service: string) => {
    for (const version of ['1.0.0', '1.1.0']) await stage.publish(service, version);
    for (const agent of agents) agent.record(service);
    const session = await stage.open();
    expect(await deploy(session, options({ service, version: '1.0.0' }))).toBe(0);
    expect(await deploy(session, options({ service, version: '1.1.0' }))).toBe(0);
    if (!/resume|s3/.test(service)) return;
    // Its publisher goes away while the rollout waits.
    const detach = new AbortController();
    const emit = session.emit;
    const left = {
      ...session,
      emit: (event: Parameters<typeof emit>[0]) => {
        emit(event);
        if (event.type === 'waiting') detach.abort();
      },
    };
    const rolling = options({ service, version: '1.0.0', strategy: GATED, detach: detach.signal });
    expect(await deploy(left, rolling)).toBe(3);
    const newest = await session.record.deployments.newest(service);
    rollouts.set(service, newest?.value.deployment ?? '');
  };
  for (const service of ['S3', 'SNS', 'SQS'] as const) {
    const names = new Set(ASKING[service].map((verb) => nameOf(service, verb)));
    await Promise.all([...names].map(prepare));
  }
}, 240_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await stage?.close();
  hole.close();
  await rm(dirname(archive), { recursive: true });
});

/** Lets the time of this process run ahead until the test is over, whenever the cloud owes no answer. */
function hurry(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  let over = false;
  const ticking = (async () => {
    while (!over) {
      await wait(TICK_MS);
      if (!isAsked()) vi.advanceTimersByTime(STEP_MS);
    }
  })();
  onTestFinished(async () => {
    over = true;
    await ticking;
    vi.useRealTimers();
  });
}

/** Runs the verb; undefined when it went as it should, else what it did instead. */
async function play(service: Service, verb: string, isInterrupted: boolean): Promise<string | undefined> {
  const name = nameOf(service, verb);
  const argv = VERBS[verb]?.(name, rollouts.get(name) ?? '') ?? [];
  const env = verb === 'status --all' ? [] : ['--env', 'dev'];
  let from = performance.now();
  let hasSaid = false;
  const running = await runVerb(stage, [...argv, ...env], {
    clock,
    onEvent(event) {
      if (hasSaid || event.type !== 'note' || !event.text.includes(`waiting for ${service} (`)) return;
      hasSaid = true;
      from = performance.now();
      if (isInterrupted) running.interrupt();
    },
  });
  const ended = await running.ended;
  const took = performance.now() - from;
  const error = 'error' in ended ? ended.error : undefined;
  const code = error === undefined ? 'code' in ended && ended.code : exitCodeOf(error);
  // 3: what it has announced goes on without it.
  const right = isInterrupted
    ? took < INTERRUPTED_MS && (error === undefined ? code === 3 : INTERRUPTED.test(error.code) && code === 1)
    : took < ENDS_MS && code === 3 && (error === undefined || UNREACHABLE.test(error.code));
  if (hasSaid && right) return undefined;
  const word = hasSaid ? '' : 'without a word ';
  return `${verb}${isInterrupted ? ', interrupted,' : ''} ended ${word}after ${took} ms with ${code}: ${error?.message}`;
}

test.each(['S3', 'SNS', 'SQS'] as const)(
  '%s never answers: each verb says what it waits for, Ctrl-C ends it, and without that it ends as unreachable',
  async (service) => {
    const { port } = hole.address() as AddressInfo;
    vi.stubEnv(`AWS_ENDPOINT_URL_${service}`, `http://127.0.0.1:${port}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    hurry();
    const both = async (verb: string) => [await play(service, verb, true), await play(service, verb, false)];
    const wrong = (await Promise.all(ASKING[service].map(both))).flat();
    expect(wrong.filter((one) => one !== undefined)).toEqual([]);
    proved('black-hole', 'each verb against S3, SNS and SQS that never answer');
  },
);
