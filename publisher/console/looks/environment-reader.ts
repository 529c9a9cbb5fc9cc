import { createClock } from '../../../shared/clock.ts';
import { isCode, type TriggerDeployError } from '../../../shared/errors.ts';
import { keys } from '../../../shared/names.ts';
import { createWakeUp } from '../../../shared/wake-up.ts';
import { mapLimit } from '../../record/map-limit.ts';
import { type PauseFound, pauseIn } from '../../record/pauses.ts';
import type { Session } from '../../session.ts';
import type { EnvironmentState, ErrorView, RollCallView } from '../api.ts';
import { errorView } from '../error-view.ts';
import { type Around, type LastRollCall, pauseView } from './cell.ts';
import type { Facts } from './facts.ts';
import { FRESH_MS, openServiceReader, type ServiceReader } from './service-reader.ts';

/**
 * Reads one environment for all pages that look at it, as often as each thing changes: once, however many look. While
 * nobody looks it reads nothing. It never writes, publishes or creates anything.
 */

/** How often the pause of the environment is read, ms. */
const PAUSE_MS = 10_000;
/** How often the services and the heartbeats are listed, ms. */
const LIST_MS = 30_000;
/** New pages of the overview cause reads of all services at most so often, ms: some people load a page again and again. */
const FRESH_ALL_MS = 10_000;
/** How often it is looked for what is due, ms. */
const STEP_MS = 500;
/** How long after a failure the next try comes: twice as long after each further one, ms. */
const RETRY_MS = { first: 2000, most: 30_000 };
/** How many services are read at a time. */
const READS = 16;
/** How many services are read at most: an instance can write below any number of names. */
const MOST_SERVICES = 1000;

/** What has changed since the last time. */
export interface News {
  services: readonly string[];
  gone: readonly string[];
  /** Whether the state of the environment has changed. */
  environment: boolean;
}

export interface EnvironmentReader {
  readonly env: string;
  state(): EnvironmentState;
  /** The services that the record has, sorted; only while a follower of all is there. */
  services(): readonly string[];
  facts(service: string): Facts | undefined;
  /** The session that it reads with; undefined until it is open. */
  session(): Session | undefined;
  around(): Around;
  /**
   * Reads `service`, or all services when it is left out, and calls `told` with what has changed, until `signal` aborts.
   * Resolves after the first read, also when it failed: `state` then says why.
   */
  follow(service: string | undefined, told: (news: News) => void, signal: AbortSignal): Promise<void>;
  /** Reads the service, or all, at once if somebody looks at it: this console has just changed something. */
  refresh(service?: string): void;
  /**
   * Reads again what of the service, or of all, is not fresh: a page begins to look. Resolves once that is read, or could
   * not be. Nothing where nobody looks.
   */
  freshen(service: string | undefined): Promise<void>;
  /** What a roll call brought. */
  answered(call: LastRollCall, view: RollCallView): void;
}

interface Follower {
  service: string | undefined;
  told: (news: News) => void;
}

const WALL = createClock(Date.now);

/** Whether the failure is that of one service, and AWS answers. */
const isOfService = (error: unknown): error is TriggerDeployError =>
  isCode(error, 'RECORD_DAMAGED', 'DOCUMENT_INVALID', 'SIGNATURE_INVALID', 'AWS_DENIED');

export function openEnvironmentReader(
  env: string,
  open: () => Promise<Session>,
  { silentAfterMs }: { silentAfterMs: (session: Session) => number },
): EnvironmentReader {
  const followers = new Set<Follower>();
  /** Each is called once a step that began after it came has ended. */
  const waiters = new Set<() => void>();
  const entries = new Map<string, ServiceReader>();
  const wakeUp = createWakeUp();
  let session: Session | undefined;
  let running: AbortController | undefined;
  /** The services of the record, as they were listed last. */
  let listed: readonly string[] = [];
  let heartbeats: ReadonlyMap<string, number> = new Map();
  let pause: PauseFound | undefined;
  let trouble: ErrorView | undefined;
  let rollCall: { call: LastRollCall; view: RollCallView } | undefined;
  let due = { services: 0, pause: 0, heartbeats: 0 };
  let pauseAt = 0;
  let allFreshAt = Number.NEGATIVE_INFINITY;
  /** What the followers have not been told yet. */
  const changed = new Set<string>();
  const gone = new Set<string>();
  let lastState = '';

  const now = () => session?.clock.now() ?? Date.now();
  const isForAll = () => [...followers].some(({ service }) => service === undefined);

  function state(): EnvironmentState {
    const paused = pauseIn(pause, 'environment');
    const read = [...entries.values()].map(({ facts }) => facts?.readAt);
    const isRead = read.length > 0 ? read.every((at) => at !== undefined) : due.services > 0;
    const readAt = read.length > 0 ? Math.min(...read.map((at) => at ?? 0)) : now();
    return {
      env,
      ...(trouble && { trouble }),
      ...(paused && { pause: pauseView(paused) }),
      ...(isRead && { readAt }),
      ...(rollCall && { rollCall: rollCall.view }),
    };
  }

  function tell(): void {
    const { readAt: _, ...rest } = state();
    const text = JSON.stringify(rest);
    const news = { services: [...changed], gone: [...gone], environment: text !== lastState };
    changed.clear();
    gone.clear();
    lastState = text;
    if (news.services.length + news.gone.length === 0 && !news.environment) return;
    for (const { told } of followers) told(news);
  }

  /** Which services are read: those that are followed, and with a follower of all those that the record has. */
  async function findServices(from: Session, at: number): Promise<void> {
    if (isForAll() && due.services <= at) {
      listed = (await from.record.deployments.services()).slice(0, MOST_SERVICES);
      due.services = at + LIST_MS;
    }
    const wanted = new Set([...followers].flatMap(({ service }) => service ?? []));
    if (isForAll()) for (const name of listed) wanted.add(name);
    for (const name of entries.keys()) {
      if (wanted.has(name)) continue;
      entries.delete(name);
      gone.add(name);
    }
    for (const [i, name] of [...wanted].entries()) {
      if (entries.has(name)) continue;
      const isNamed = () => [...followers].some(({ service }) => service === name);
      const about = { spread: (i + 1) / wanted.size, changed: () => changed.add(name), isNamed };
      entries.set(name, openServiceReader(from, name, about));
    }
  }

  async function readPause(from: Session, at: number): Promise<void> {
    if (due.pause > at) return;
    const before = JSON.stringify(pauseIn(pause, 'environment'));
    pause = await from.record.pauses.read(undefined);
    pauseAt = at;
    due.pause = at + PAUSE_MS;
    if (JSON.stringify(pauseIn(pause, 'environment')) === before) return;
    for (const [name, { facts }] of entries) if (facts) changed.add(name);
  }

  async function readHeartbeats(from: Session, at: number): Promise<void> {
    if (due.heartbeats > at) return;
    const last = new Map<string, number>();
    for (const { instance, lastModified } of await from.record.deployments.written(keys.heartbeats(env))) {
      last.set(instance, Math.max(lastModified, last.get(instance) ?? 0));
    }
    heartbeats = last;
    due.heartbeats = at + LIST_MS;
  }

  /** Reads all that is due. @throws the first failure of AWS, after which nothing more is begun. */
  async function step(from: Session, signal: AbortSignal): Promise<void> {
    const at = from.clock.monotonic();
    await Promise.all([findServices(from, at), readPause(from, at), readHeartbeats(from, at)]);
    const isDue = [...entries].filter(([, entry]) => entry.isDue(at));
    let failure: unknown;
    await mapLimit(isDue, READS, async ([, entry]) => {
      if (signal.aborted || failure !== undefined) return;
      try {
        await entry.read(at);
      } catch (error) {
        // One service that cannot be read, such as one with too many objects, hides no other one.
        if (isOfService(error)) entry.fail(at, error);
        else failure ??= error;
      }
    });
    if (failure !== undefined) throw failure;
  }

  async function run(signal: AbortSignal): Promise<void> {
    let retryMs = RETRY_MS.first;
    while (!signal.aborted) {
      const waiting = [...waiters];
      let waitMs = STEP_MS;
      try {
        session ??= await open();
        await step(session, signal);
        trouble = undefined;
        retryMs = RETRY_MS.first;
      } catch (error) {
        trouble = errorView(error);
        waitMs = retryMs;
        retryMs = Math.min(RETRY_MS.most, retryMs * 2);
      }
      if (signal.aborted) return;
      tell();
      for (const seen of waiting) seen();
      const clock = session?.clock ?? WALL;
      await wakeUp.wait(signal, { clock, ms: waitMs });
    }
  }

  /** Resolves after a step that begins from now on, and when nobody looks any more. */
  async function nextStep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiters.add(resolve);
    await promise;
    waiters.delete(resolve);
  }

  /** Makes due what of the service, or of all, is not fresh. */
  function touchOld(service: string | undefined): void {
    if (session === undefined) return;
    const at = session.clock.monotonic();
    if (at - pauseAt > FRESH_MS) due.pause = 0;
    if (service !== undefined) entries.get(service)?.freshen(at);
    else if (at - allFreshAt >= FRESH_ALL_MS) {
      allFreshAt = at;
      for (const entry of entries.values()) entry.freshen(at);
    }
  }

  return {
    env,
    state,
    services: () => listed.toSorted(),
    facts: (service) => entries.get(service)?.facts,
    session: () => session,
    around: () => ({
      ...{ env, heartbeats, pause, rollCall: rollCall?.call, now: now() },
      here: session?.record.here ?? { host: '', pid: 0 },
      silentAfterMs: session === undefined ? Number.POSITIVE_INFINITY : silentAfterMs(session),
    }),
    async follow(service, told, signal) {
      const follower = { service, told };
      followers.add(follower);
      const read = nextStep();
      if (service === undefined) due.services = 0;
      void createWakeUp()
        .wait(signal)
        .then(() => {
          followers.delete(follower);
          if (followers.size > 0) return;
          for (const seen of waiters) seen();
          running?.abort();
          running = undefined;
        });
      if (running === undefined) {
        // What was read before may have changed since.
        due = { services: 0, pause: 0, heartbeats: 0 };
        for (const entry of entries.values()) entry.touch();
        running = new AbortController();
        void run(running.signal);
      } else {
        touchOld(service);
        wakeUp.wake();
      }
      await read;
    },
    async freshen(service) {
      if (running === undefined) return;
      touchOld(service);
      wakeUp.wake();
      await nextStep();
    },
    refresh(service) {
      for (const [name, entry] of entries) if (service === undefined || name === service) entry.touch();
      due.pause = 0;
      wakeUp.wake();
    },
    answered(call, view) {
      rollCall = { call, view };
      for (const [name, { facts }] of entries) if (facts) changed.add(name);
      tell();
    },
  };
}
