import type { Clock } from '../../../shared/clock.ts';
import { formatMs } from '../../../shared/duration.ts';
import { type ErrorCode, TriggerDeployError } from '../../../shared/errors.ts';
import type { Change, PackageType } from '../../deploy/ports.ts';
import type { ServiceManager } from '../../deploy/service-port.ts';
import type { Guard, Verdict } from './guard.ts';

/**
 * What differs when the agent deploys itself: wrappers of its package type and of its service manager. A process cannot
 * replace itself, so at the switch the agent starts a guard, a separate systemd unit. The guard installs the new
 * version and restarts the agent. It restores the old version unless the new version gives the verdict `keep` at its
 * commit. Both versions run the same deployment from the same journal: the old version until the switch, the new
 * version from there to the end. If the guard restores the old version, the old version runs the rollback.
 */
export interface SelfUpdate {
  package(inner: PackageType): PackageType;
  manager(inner: ServiceManager): ServiceManager;
}

type LookFunction = NonNullable<PackageType['look']>;
type Look = Awaited<ReturnType<LookFunction>>;

export interface SelfUpdateOptions {
  guard: Guard;
  name: string;
  unit: string;
  /** The version of this process. */
  own: string;
  /** Identifies this process: it is different after each start of the unit. */
  process: string;
  pid: number;
  /** The path of the .deb of a version. */
  debOf(version: string): string;
  /** What this agent has not reached in AWS since its start, each with the reason; empty if it has reached all. */
  missing(): string[];
  /** How long a new version may take from its start to its commit, ms. */
  within: number;
  /** How long a new version may take from its start until it is ready, ms. */
  startsWithin: number;
  /** How long an agent may take to stop, ms. */
  stopsWithin: number;
  /** How long the new version may take to reach AWS, ms. */
  reachWithin: number;
  /** How long to wait for the dpkg lock of another process, ms. */
  lockWithin: number;
  /** Timeout of one run of dpkg, ms. */
  installWithin: number;
  clock: Clock;
}

const POLL_MS = 200;
const GUARD_TIMEOUT = 30_000;

export function createSelfUpdate(options: SelfUpdateOptions): SelfUpdate {
  const { guard, name, own, clock } = options;

  /** Waits until the guard or systemd ends this process. @throws START_FAILED if neither does so in time. */
  async function awaitTermination(what: string, signal: AbortSignal): Promise<never> {
    const bound = options.lockWithin + 2 * options.installWithin;
    await clock.sleep(bound, signal);
    throw new TriggerDeployError('START_FAILED', `${what} was not done within ${formatMs(bound)}`, {
      hint: 'journalctl -u trigger-deploy-agent-update',
    });
  }

  async function prepareGuard(order: { deployment: string; from: string; to: string }, signal: AbortSignal) {
    const { unit, within, startsWithin, stopsWithin, lockWithin } = options;
    await guard.prepare(
      { ...order, package: name, unit, within, startsWithin, stopsWithin, lockWithin },
      { old: options.debOf(order.from), new: options.debOf(order.to) },
      signal,
    );
  }

  /** Waits until the guard has finished. Starts it again after each GUARD_TIMEOUT (ms), in case it does not run. */
  async function awaitGuardDone(signal: AbortSignal): Promise<void> {
    for (let end = clock.monotonic() + GUARD_TIMEOUT; await guard.isUnderWay(); ) {
      if (clock.monotonic() > end) {
        await guard.start(signal);
        end += GUARD_TIMEOUT;
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** Waits until this agent has reached AWS. @throws START_FAILED after `reachWithin`. */
  async function awaitConnectivity(signal: AbortSignal): Promise<void> {
    const end = clock.monotonic() + options.reachWithin;
    while (options.missing().length > 0) {
      if (clock.monotonic() > end) {
        const missing = options.missing().join('; ');
        throw new TriggerDeployError(
          'START_FAILED',
          `${name} ${own} runs, but has not reached ${missing} within ${formatMs(options.reachWithin)}`,
          { hint: 'check the network of the instance, and the credentials of its role' },
        );
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  function addOwn(look: Look, ...[version, processes]: Parameters<LookFunction>): Look {
    const process = processes.find(({ pid }) => pid === options.pid);
    if (!process) return look;
    const mine = { process, wanted: own === version, version: own, by: 'this agent' };
    return { ...look, shown: [mine, ...look.shown.filter((one) => one.process.pid !== process.pid)] };
  }

  async function orderFor({ deployment }: Change) {
    const order = await guard.order();
    return order?.deployment === deployment ? order : undefined;
  }

  async function installNext(version: string, change: Change): Promise<void> {
    const { deployment, signal, note } = change;
    const order = await orderFor(change);
    const verdict = order && (await guard.verdict());
    if (verdict?.kind === 'back') {
      // While this process is the new version, the guard has yet to restore the old one, and ends this process.
      if (own === version) return await awaitTermination(`restoring ${name} ${order?.from}`, signal);
      throw revertedError(verdict);
    }
    if (own === version) return;
    if (verdict?.kind === 'keep') {
      throw new TriggerDeployError(
        'START_FAILED',
        `${name} ${version} was kept, but ${own} was installed over it`,
      );
    }
    if (!order) await prepareGuard({ deployment, from: own, to: version }, signal);
    await guard.start(signal);
    note(`the guard installs ${name} ${version}`);
    await awaitTermination(`installing ${name} ${version}`, signal);
  }

  async function restorePrevious(version: string, change: Change, inner: PackageType): Promise<void> {
    const { deployment, signal, note } = change;
    const order = await orderFor(change);
    const why = { code: 'CHECK_FAILED', reason: `${name} ${own} failed its deployment` };
    if (own === version) {
      // This version was restored, or was never replaced. With a verdict, the guard installs nothing else any more.
      if (order) await guard.decide(order.to === own ? 'keep' : 'back', why);
      await awaitGuardDone(signal);
      if ((await inner.current()) === own) return;
      throw new TriggerDeployError(
        'RELEASE_INCOMPLETE',
        `the running agent has version ${own}, but the package ${name} has another version`,
      );
    }
    const isGuarded = order?.to === own && order.from === version && (await guard.isUnderWay());
    const verdict = isGuarded && (await guard.decide('back', why));
    // If the running version was kept, or has no guard, the rollback is an update like any other.
    if (!verdict || verdict.kind === 'keep') {
      if (order?.to !== version) await prepareGuard({ deployment, from: own, to: version }, signal);
      await guard.start(signal);
    }
    note(`the guard restores ${name} ${version}`);
    await awaitTermination(`restoring ${name} ${version}`, signal);
  }

  return {
    package: ({ look, ...inner }) => ({
      ...inner,

      async prepare(order, note, signal) {
        const here = await inner.current();
        if (here !== own) {
          const found = here === null ? 'is not installed' : `has version ${here}`;
          throw new TriggerDeployError(
            'PACKAGE_INVALID',
            `the running agent has version ${own}, but the package ${name} ${found}`,
            {
              hint: here === null ? 'install the agent from its .deb' : `systemctl restart ${options.unit}`,
            },
          );
        }
        // An order and a verdict of an earlier deployment must not apply to this deployment.
        await guard.cleanUp();
        const prepared = await inner.prepare(order, note, signal);
        const known = await inner.releases();
        // `acceptNoUndo` does not apply: if a bad agent could not be replaced, nothing could be deployed here any more.
        if (order.version !== own && !known.some((release) => release.version === own)) {
          throw new TriggerDeployError('UNDO_IMPOSSIBLE', `the .deb of ${name} ${own} is not available`, {
            hint: `push the .deb of the installed version: trigger-deploy push ${order.service} ${own} FILE.deb`,
          });
        }
        return prepared;
      },

      async switchTo(version, change) {
        if (version === null)
          throw new TriggerDeployError('PACKAGE_INVALID', 'the agent cannot remove itself');
        if (change.direction === 'forward') await installNext(version, change);
        else await restorePrevious(version, change, inner);
      },

      /**
       * This process is one of the service, and its version is known. Its files do not tell: they have the same paths
       * in all versions. And where the guard has restored this version, this process decided the rollback, so that it
       * started before the rollback.
       */
      ...(look && {
        look: async (...args: Parameters<LookFunction>) => addOwn(await look(...args), ...args),
      }),

      /**
       * Gives the verdict `keep`. @throws the guard's error if the guard has decided first to restore the old version.
       */
      async commit() {
        const order = await guard.order();
        if (order?.to !== own) return;
        const verdict = await guard.decide('keep');
        if (verdict.kind === 'back') throw revertedError(verdict);
      },

      async prune(keep, signal) {
        await guard.cleanUp();
        return await inner.prune(keep, signal);
      },
    }),

    manager: (inner) => ({
      ...inner,

      /**
       * Hides the invocation. With a new invocation the start step would skip `restart`, and `restart` is what waits
       * until the new agent has reached AWS.
       */
      async status(signal) {
        return { ...(await inner.status(signal)), invocation: null };
      },

      async restart(signal) {
        const [order, verdict] = [await guard.order(), await guard.verdict()];
        const isRestored = verdict?.kind === 'back' && order?.from === own;
        const isProving = verdict === undefined && order?.to === own;
        // The guard starts a version that it has installed. In any other case the agent restarts its unit, once.
        if (!isRestored && !isProving && !(await guard.isRestarted(options.process))) {
          await guard.restart(options.unit, options.process, signal);
          await awaitTermination(`the restart of ${options.unit}`, signal);
        }
        // The restored version worked before: if it cannot reach AWS now, the version is not the cause.
        if (!isRestored) await awaitConnectivity(signal);
        return { ...(await inner.status(signal)), invocation: null };
      },

      async stop() {
        throw new TriggerDeployError('STOP_FAILED', 'the agent cannot stop itself');
      },
    }),
  };
}

const CODES: readonly ErrorCode[] = ['START_FAILED', 'CHECK_FAILED', 'DPKG_FAILED'];

function revertedError({ code, reason, detail }: Extract<Verdict, { kind: 'back' }>): TriggerDeployError {
  const known = CODES.find((one) => one === code) ?? 'START_FAILED';
  return new TriggerDeployError(known, reason, { ...(detail !== '' && { detail }) });
}
