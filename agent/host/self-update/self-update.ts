import type { Clock } from '../../../shared/clock.ts';
import { type ErrorCode, TriggerDeployError } from '../../../shared/errors.ts';
import { formatMs } from '../../../shared/retry.ts';
import type { Change, PackageType, ServiceManager } from '../../deploy/ports.ts';
import type { Guard, Verdict } from './guard.ts';

/**
 * The agent as one of its own services. A unit cannot install itself: at the switch the agent starts a guard, a separate
 * systemd unit, which installs the new version, restarts the agent, and restores the old version unless the new one
 * says `keep` at its commit. Both versions run the same deployment from the same journal: the old one up to the switch,
 * the new one from there to the end; if the guard restored the old one, that runs the rollback.
 */
export interface SelfUpdate {
  package(inner: PackageType): PackageType;
  manager(inner: ServiceManager): ServiceManager;
}

export interface SelfUpdateOptions {
  guard: Guard;
  name: string;
  unit: string;
  /** The version of this process. */
  own: string;
  /** Differs after each start of the unit. */
  process: string;
  debOf(version: string): string;
  /** The AWS services that this agent has not reached yet, each with the reason; empty once it has reached all. */
  missing(): string[];
  /** How long a new version may take from its start to its commit, ms. */
  within: number;
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

  /** Waits until the guard or systemd ends this process. @throws START_FAILED if that does not happen. */
  async function awaitTermination(what: string, signal: AbortSignal): Promise<never> {
    const bound = options.lockWithin + 2 * options.installWithin;
    await clock.sleep(bound, signal);
    throw new TriggerDeployError('START_FAILED', `${what} was not done within ${formatMs(bound)}`, {
      hint: 'journalctl -u trigger-deploy-agent-update',
    });
  }

  async function prepareGuard(order: { deployment: string; from: string; to: string }, signal: AbortSignal) {
    const { unit, within, stopsWithin, lockWithin } = options;
    await guard.prepare(
      { ...order, package: name, unit, within, stopsWithin, lockWithin },
      { old: options.debOf(order.from), new: options.debOf(order.to) },
      signal,
    );
  }

  /** Waits until the guard has finished; starts it if it never ran. */
  async function awaitGuardDone(signal: AbortSignal): Promise<void> {
    for (let end = clock.monotonic() + GUARD_TIMEOUT; await guard.isUnderWay(); ) {
      if (clock.monotonic() > end) {
        await guard.start(signal);
        end += GUARD_TIMEOUT;
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** A new version must also reach AWS. @throws START_FAILED. */
  async function awaitConnectivity(signal: AbortSignal): Promise<void> {
    const end = clock.monotonic() + options.reachWithin;
    while (options.missing().length > 0) {
      if (clock.monotonic() > end) {
        const missing = options.missing().join('; ');
        throw new TriggerDeployError(
          'START_FAILED',
          `${name} ${own} runs, but has not reached ${missing} within ${formatMs(options.reachWithin)}`,
        );
      }
      await clock.sleep(POLL_MS, signal);
    }
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
      // If this is still the new version, the guard is about to end it.
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
      // Restored, or never replaced. In the second case the guard must not start any more.
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
    // Already kept, or not guarded: the rollback is an update like any other.
    if (!verdict || verdict.kind === 'keep') {
      if (order?.to !== version) await prepareGuard({ deployment, from: own, to: version }, signal);
      await guard.start(signal);
    }
    note(`the guard restores ${name} ${version}`);
    await awaitTermination(`restoring ${name} ${version}`, signal);
  }

  return {
    package: (inner) => ({
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
        // A verdict of an earlier deployment must not apply to this one.
        await guard.cleanUp();
        const prepared = await inner.prepare(order, note, signal);
        const known = await inner.releases();
        // `acceptNoUndo` does not apply here: without the old .deb a bad version would cut this instance off.
        if (order.version !== own && !known.some((release) => release.version === own)) {
          throw new TriggerDeployError('UNDO_IMPOSSIBLE', `the .deb of ${name} ${own} is not available`, {
            hint: `push its .deb as ${order.service} ${own}`,
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

      /** From here on the guard does not restore the old version. @throws START_FAILED when it already did. */
      async commit() {
        const order = await guard.order();
        if (order?.to !== own) return;
        const verdict = await guard.decide('keep');
        if (verdict.kind === 'back') throw revertedError(verdict);
      },

      async prune(keep) {
        await guard.cleanUp();
        return await inner.prune(keep);
      },
    }),

    manager: (inner) => ({
      ...inner,

      /** Hides the invocation: a new one would make the start step skip `restart`, which waits until the agent reaches AWS. */
      async status(signal) {
        return { ...(await inner.status(signal)), invocation: null };
      },

      async restart(signal) {
        const [order, verdict] = [await guard.order(), await guard.verdict()];
        const isRestored = verdict?.kind === 'back' && order?.from === own;
        const isProving = verdict === undefined && order?.to === own;
        // The guard has started the version that it installed. In any other case the unit is restarted here.
        if (!isRestored && !isProving && !(await guard.isRestarted(options.process))) {
          await guard.restart(options.unit, options.process, signal);
          await awaitTermination(`the restart of ${options.unit}`, signal);
        }
        // The restored version worked before; an outage of AWS now says nothing about it.
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
