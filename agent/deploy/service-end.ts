import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { InstanceNotice } from '../../shared/report.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
import { commandEnvironment } from './command-environment.ts';
import type { Hook, Identity, Ports, ServiceConfig } from './ports.ts';
import type { StateStore } from './state-store.ts';
import { withEnd, withEndAnnounced } from './state-transitions.ts';

/** The end of the instance, as far as the deployments of one service have to know of it. */
export interface EndGuard {
  /** Why no deployment may begin, and why traffic must not return; undefined while the instance stays. */
  why(): TriggerDeployError | undefined;
  /** Aborts when a deployment that goes forward after its switch has no time left. */
  tooLate(): AbortSignal;
}

/**
 * What the end of the instance asks of one service. Each method is idempotent, and journals what it has done: an agent
 * that was killed calls it again, and it continues. A method with a `signal` ends soon after it aborts, with its reason.
 */
export interface ServiceEnd {
  /**
   * From now on the record has this notice. If it is terminating, no deployment begins any more, and one that has not
   * switched is given up; otherwise the service serves again: its `afterStart` hooks run, if it was drained.
   */
  announce(notice: InstanceNotice | undefined, signal: AbortSignal): Promise<void>;
  /** Resolves when no deployment is active. */
  settled(signal: AbortSignal): Promise<void>;
  /** A deployment that has switched and still goes forward is rolled back. */
  rollBack(): void;
  /** Takes the instance out of its target groups, then runs the `beforeStop` hooks. The service keeps running. */
  drain(signal: AbortSignal, remainingMs: () => number): Promise<void>;
  /** Runs the `onTerminate` hooks. One that fails is logged, and the next one runs. */
  runHooks(signal: AbortSignal, remainingMs: () => number): Promise<void>;
  /** `deadline` on the monotonic clock, ms. */
  shipLogs(signal: AbortSignal, deadline: number): Promise<void>;
  /** Resolves when all reports are in the record. */
  delivered(signal: AbortSignal): Promise<void>;
}

/** A hook that does not end gets TERM, and KILL after this time, ms: it has to fit into the time of the hooks. */
const ENDED_WITHIN = 6000;
/** How often `settled` and `delivered` look, ms. A change of the state wakes them, too. */
const LOOK_EVERY = 250;

export function createServiceEnd(context: {
  service: ServiceConfig;
  ports: Ports;
  identity: Identity;
  log: Log;
  store: StateStore;
  /** Gives up what has not switched. Called when the notice is journalled. */
  giveUp: (why: TriggerDeployError) => Promise<void>;
  /** Called when deployments may begin again. */
  onStays: () => void;
}): ServiceEnd & { guard: EndGuard; notice: () => InstanceNotice | undefined } {
  const { service, ports, identity, log, store } = context;
  const { clock } = ports;
  let notice: InstanceNotice | undefined;
  let tooLate = new AbortController();
  const never = createWakeUp();

  const why = () => {
    if (!notice?.terminating) return undefined;
    const at = notice.at === undefined ? '' : ` at ${notice.at}`;
    return new TriggerDeployError(
      'INSTANCE_TERMINATING',
      `the instance is about to end: ${notice.kind}${at}; it takes no deployment`,
    );
  };

  const done = (kind: 'beforeStop' | 'onTerminate') => store.read().ending?.hooksDone[kind] ?? 0;

  async function runHook(hook: Hook, environment: Record<string, string>, signal: AbortSignal) {
    try {
      await ports.hooks.run(hook, environment, signal);
    } catch (error) {
      signal.throwIfAborted();
      // The end of an instance waits for nobody.
      log.error({ err: error }, `${messageOf(error)}; the end of the instance continues`);
    }
  }

  async function runHooks(
    kind: 'beforeStop' | 'onTerminate',
    signal: AbortSignal,
    remainingMs: () => number,
  ): Promise<void> {
    const hooks = service.hooks[kind] ?? [];
    for (let i = done(kind); i < hooks.length; i += 1) {
      signal.throwIfAborted();
      const hook = hooks[i] as Hook;
      const left = remainingMs();
      const timeout = Math.max(
        1,
        Math.round(Math.min(hook.timeout, left - Math.min(ENDED_WITHIN, left / 4))),
      );
      await runHook({ ...hook, timeout }, await environmentOf('terminate', timeout), signal);
      await store.update((state) =>
        withEnd(state, {
          hooksDone: { beforeStop: 0, onTerminate: 0, ...state.ending?.hooksDone, [kind]: i + 1 },
        }),
      );
    }
  }

  async function environmentOf(action: string, remainingMs?: number): Promise<Record<string, string>> {
    const { running } = store.read();
    return commandEnvironment({
      env: identity.env,
      instance: identity.instance,
      service: service.name,
      version: (await ports.package.current()) ?? '',
      previous: '',
      deployment: running?.deployment ?? '',
      action,
      ...(notice && { notice: notice.kind }),
      ...(remainingMs !== undefined && { remaining: String(remainingMs) }),
    });
  }

  /** Nothing runs: there is nothing to drain. */
  async function isDown(signal: AbortSignal): Promise<boolean> {
    return (await ports.package.current()) === null && !(await ports.manager.status(signal)).active;
  }

  async function leaveTraffic(signal: AbortSignal): Promise<void> {
    const { traffic } = ports;
    if (!traffic) return;
    const left = store.read().outOfTraffic;
    const groups = [...new Set([...(left?.groups ?? []), ...(await traffic.groups(signal))])];
    if (groups.length === 0) return;
    // Journalled first: an instance that stays in the end is registered again.
    await store.update((state) => ({ ...state, outOfTraffic: { groups, well: left?.well ?? true } }));
    await traffic.leave(groups, (text) => log.debug({ note: text }, text), signal);
  }

  /** The service serves again. `runner` registers it with its target groups. */
  async function stay(signal: AbortSignal): Promise<void> {
    const { ending } = store.read();
    if (!ending) return;
    if (ending.drained && service.hooks.beforeStop.length > 0) {
      const environment = await environmentOf('restart');
      for (const hook of service.hooks.afterStart) await runHook(hook, environment, signal);
    }
    await store.update((state) => ({ ...state, ending: null }));
    log.info('the instance stays: deployments and traffic are as before');
  }

  async function until(isReached: () => boolean, signal: AbortSignal): Promise<void> {
    while (!isReached()) {
      signal.throwIfAborted();
      await never.wait(signal, { clock, ms: LOOK_EVERY });
    }
  }

  return {
    guard: { why, tooLate: () => tooLate.signal },
    notice: () => notice,

    async announce(next, signal) {
      const isOther = notice?.terminating && next?.terminating && notice.kind !== next.kind;
      notice = next;
      // Since the last logs of the other end, which may be days ago, there may be more.
      if (isOther) await store.update((state) => withEnd(state, { shipped: false }));
      const reason = why();
      if (reason) {
        await store.update(withEndAnnounced);
        await context.giveUp(reason);
        return;
      }
      await stay(signal);
      tooLate = new AbortController();
      context.onStays();
    },

    settled: (signal) => until(() => store.read().active === null, signal),

    rollBack() {
      const reason = why();
      if (reason) tooLate.abort(reason);
    },

    async drain(signal, remainingMs) {
      if (await isDown(signal)) return;
      await store.update((state) => withEnd(state, { drained: true }));
      // Hooks run even if the load balancer does not answer.
      await leaveTraffic(signal).catch((error: unknown) => {
        signal.throwIfAborted();
        log.error({ err: error }, `not drained: ${messageOf(error)}; the end of the instance continues`);
      });
      await runHooks('beforeStop', signal, remainingMs);
    },

    runHooks: (signal, remainingMs) => runHooks('onTerminate', signal, remainingMs),

    async shipLogs(signal, deadline) {
      if (!ports.logs || store.read().ending?.shipped) return;
      await ports.logs.shipLogs(signal, deadline);
      await store.update((state) => withEnd(state, { shipped: true }));
    },

    delivered: (signal) => until(() => store.read().outbox.length === 0, signal),
  };
}
