import type { Clock } from '../../../shared/clock.ts';
import { type ErrorCode, TriggerDeployError } from '../../../shared/errors.ts';
import { formatMs } from '../../../shared/retry.ts';
import type { Change, PackageType, ServiceManager } from '../../deploy/ports.ts';
import type { Guard, Verdict } from './guard.ts';

/**
 * The agent as a service of its own. No unit can install itself: at the switch the agent hands over to a guard of
 * systemd's, which installs, restarts, and puts the old version back unless the new one says `keep` at its commit.
 * Both versions run the same deployment from the same journal: the old one up to the switch, the new one from there
 * to the end, and the old one again from the switch backwards where the guard had to put it back.
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
  /** Another one after each start of the unit. */
  process: string;
  debOf(version: string): string;
  /** What this agent has not reached yet of what it needs, and why not; empty once it has. */
  missing(): string[];
  /** How long a new version may take from its start to its commit, ms. */
  within: number;
  /** How long an agent may take to end, ms. */
  stopsWithin: number;
  /** How long the new version may take to reach AWS, ms. */
  reachWithin: number;
  /** How long the dpkg lock of somebody else is waited for, ms. */
  lockWithin: number;
  /** One run of dpkg, ms. */
  installWithin: number;
  clock: Clock;
}

const POLL_MS = 200;
const GUARD_TIMEOUT = 30_000;

export function createSelfUpdate(options: SelfUpdateOptions): SelfUpdate {
  const { guard, name, own, clock } = options;

  /** The guard ends this process; what becomes of the wait otherwise is an error. */
  async function awaitTermination(what: string, signal: AbortSignal): Promise<never> {
    const bound = options.lockWithin + 2 * options.installWithin;
    await clock.sleep(bound, signal);
    throw new TriggerDeployError('START_FAILED', `${what} did not happen within ${formatMs(bound)}`, {
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

  /** A guard that has given its verdict is soon done; one that never began is begun. */
  async function awaitGuardDone(signal: AbortSignal): Promise<void> {
    for (let end = clock.monotonic() + GUARD_TIMEOUT; await guard.isUnderWay(); ) {
      if (clock.monotonic() > end) {
        await guard.start(signal);
        end += GUARD_TIMEOUT;
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** That the process runs is not enough. @throws START_FAILED. */
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
    const standing = await orderFor(change);
    const verdict = standing && (await guard.verdict());
    if (verdict?.kind === 'back') {
      // Where this still is the new version, it is about to be ended.
      if (own === version) return await awaitTermination(`putting ${name} ${standing?.from} back`, signal);
      throw revertedError(verdict);
    }
    if (own === version) return;
    if (verdict?.kind === 'keep') {
      throw new TriggerDeployError(
        'START_FAILED',
        `${name} ${version} was kept, and something put ${own} back`,
      );
    }
    if (!standing) await prepareGuard({ deployment, from: own, to: version }, signal);
    await guard.start(signal);
    note(`handed over: systemd installs ${name} ${version}`);
    await awaitTermination(`installing ${name} ${version}`, signal);
  }

  async function restorePrevious(version: string, change: Change, inner: PackageType): Promise<void> {
    const { deployment, signal, note } = change;
    const standing = await orderFor(change);
    const why = { code: 'CHECK_FAILED', reason: `${name} ${own} gave up its deployment` };
    if (own === version) {
      // Put back, or never replaced. In the second case the guard must not begin any more.
      if (standing) await guard.decide(standing.to === own ? 'keep' : 'back', why);
      await awaitGuardDone(signal);
      if ((await inner.current()) === own) return;
      throw new TriggerDeployError('RELEASE_INCOMPLETE', `this is ${name} ${own}, and dpkg has another one`);
    }
    const isGuarded = standing?.to === own && standing.from === version && (await guard.isUnderWay());
    const verdict = isGuarded && (await guard.decide('back', why));
    // Kept already, or never guarded: going back is a change like any other.
    if (!verdict || verdict.kind === 'keep') {
      if (standing?.to !== version) await prepareGuard({ deployment, from: own, to: version }, signal);
      await guard.start(signal);
    }
    note(`handed over: systemd puts ${name} ${version} back`);
    await awaitTermination(`putting ${name} ${version} back`, signal);
  }

  return {
    package: (inner) => ({
      ...inner,

      async prepare(order, note, signal) {
        const here = await inner.current();
        if (here !== own) {
          const has = here === null ? 'does not have it' : `has ${here}`;
          throw new TriggerDeployError('PACKAGE_INVALID', `this is ${name} ${own}, and dpkg ${has}`, {
            hint: here === null ? 'install the agent by its .deb' : `systemctl restart ${options.unit}`,
          });
        }
        // What an earlier deployment left must not speak for this one.
        await guard.cleanUp();
        const prepared = await inner.prepare(order, note, signal);
        const known = await inner.releases();
        // `acceptNoUndo` does not hold here: without the old .deb nobody could reach this instance again.
        if (order.version !== own && !known.some((release) => release.version === own)) {
          throw new TriggerDeployError('UNDO_IMPOSSIBLE', `the .deb of ${name} ${own} cannot be had`, {
            hint: `push its .deb as ${order.service} ${own}`,
          });
        }
        return prepared;
      },

      async switchTo(version, change) {
        if (version === null)
          throw new TriggerDeployError('PACKAGE_INVALID', 'the agent never removes itself');
        if (change.direction === 'forward') await installNext(version, change);
        else await restorePrevious(version, change, inner);
      },

      /** From here on nobody takes this version back but a deployment. @throws START_FAILED when that was done. */
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

      /** Without its invocation: by that alone the new version would count as started. */
      async status(signal) {
        return { ...(await inner.status(signal)), invocation: null };
      },

      async restart(signal) {
        const [order, verdict] = [await guard.order(), await guard.verdict()];
        const isPutBack = verdict?.kind === 'back' && order?.from === own;
        const isProving = verdict === undefined && order?.to === own;
        // The guard has started what it installed. Whatever else is restarted runs on as another process.
        if (!isPutBack && !isProving && !(await guard.isRestarted(options.process))) {
          await guard.restart(options.unit, options.process, signal);
          await awaitTermination(`the restart of ${options.unit}`, signal);
        }
        // The version put back had proven itself before; an outage now says nothing about it.
        if (!isPutBack) await awaitConnectivity(signal);
        return { ...(await inner.status(signal)), invocation: null };
      },

      async stop() {
        throw new TriggerDeployError('STOP_FAILED', 'the agent never stops itself');
      },
    }),
  };
}

const CODES: readonly ErrorCode[] = ['START_FAILED', 'CHECK_FAILED', 'DPKG_FAILED'];

function revertedError({ code, reason, detail }: Extract<Verdict, { kind: 'back' }>): TriggerDeployError {
  const known = CODES.find((one) => one === code) ?? 'START_FAILED';
  return new TriggerDeployError(known, reason, { ...(detail !== '' && { detail }) });
}
