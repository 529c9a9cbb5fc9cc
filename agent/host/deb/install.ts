import { sleepUnlessAborted } from '../../../shared/abort.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { formatMs } from '../../../shared/retry.ts';
import type { Change } from '../../deploy/ports.ts';
import { debIn, dependenciesIn, inspectRelease } from './contents.ts';
import { compareVersions, inspectDeb, installed, isSettled, isThere, known } from './dpkg.ts';
import type { DpkgRun, DpkgUnits } from './dpkg-unit.ts';

/**
 * Installs and removes one package with dpkg. After each run dpkg-query decides whether it worked. The result of the
 * run is not reliable: a unit that has succeeded looks like a unit that never existed, and a problem of another package
 * also makes dpkg fail.
 */
export interface Installer {
  /** `release` is the directory of the release. @throws PACKAGE_INVALID, DPKG_LOCKED, DPKG_FAILED, STOP_FAILED. */
  install(version: string, release: string, change: Change): Promise<void>;
  /** Keeps conffiles. @throws DPKG_LOCKED, DPKG_FAILED, STOP_FAILED. */
  remove(change: Change): Promise<void>;
}

/** With these options dpkg asks no question about conffiles, and accepts an older version. */
const INSTALL = ['dpkg', '--force-confdef', '--force-confold', '--force-downgrade', '--install'];
/** Keeps conffiles. Also removes a package that dpkg wants to have reinstalled first. */
const REMOVE = ['dpkg', '--force-remove-reinstreq', '--remove'];
const LOCK_HELD =
  /lock (?:was|is) locked by another process(?: with pid (\d+))?|is locked by another process/;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2000;
/** States that `dpkg --configure -a` continues. */
const UNCONFIGURED = new Set(['unpacked', 'half-configured', 'triggers-awaited', 'triggers-pending']);

export function createInstaller(options: {
  service: string;
  name: string;
  units: DpkgUnits;
  /** How long to wait for the dpkg lock of another process, ms. */
  lockTimeout: number;
}): Installer {
  const { service, name, units, lockTimeout } = options;

  /** Runs dpkg; retries while another process holds its lock. @throws DPKG_LOCKED. */
  async function dpkg(argv: readonly string[], change: Change): Promise<DpkgRun> {
    const { deployment, direction, attempt, signal } = change;
    const unit = `trigger-deploy-${service}-${deployment}-${direction}-${attempt}.service`;
    const end = performance.now() + lockTimeout;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      const run = await units.run(unit, argv, signal);
      const locked = run.ending === 'failed' ? LOCK_HELD.exec(run.output) : null;
      if (!locked) return run;
      const holder = locked[1] === undefined ? 'another process' : `process ${locked[1]}`;
      if (performance.now() >= end) {
        const message = `the dpkg lock has been held by ${holder} for more than ${formatMs(lockTimeout)}`;
        throw new TriggerDeployError('DPKG_LOCKED', message, {
          hint: `wait for that process, or end it (see ps), then deploy again; \`lockTimeout\` in agent.yaml (${formatMs(lockTimeout)}) limits the wait`,
        });
      }
      change.note(`waiting for the dpkg lock, held by ${holder}`);
      await sleepUnlessAborted(pause, signal);
    }
  }

  /**
   * Configures packages whose installation was interrupted. It leaves out our own package if that is incomplete, unless
   * a forward switch is to install exactly this version: any other version would fail again, and is replaced next. A
   * run of dpkg here also waits for the dpkg lock while the service still runs.
   */
  async function repair(target: string, change: Change): Promise<void> {
    const ours = await installed(name, change.signal);
    const isTarget = ours?.version === target && change.direction === 'forward';
    if (!ours || isSettled(ours) || isTarget) {
      await dpkg(['dpkg', '--force-confdef', '--force-confold', '--configure', '--pending'], change);
      return;
    }
    const others = (await known(change.signal)).filter(
      (one) => UNCONFIGURED.has(one.status) && one.name !== name,
    );
    if (others.length === 0) return;
    const names = others.map((one) => `${one.name}:${one.architecture}`.replace(/:all$/, ''));
    await dpkg(['dpkg', '--force-confdef', '--force-confold', '--configure', ...names], change);
  }

  /** Whether this version is completely installed. */
  async function has(version: string, signal: AbortSignal): Promise<boolean> {
    const ours = await installed(name, signal);
    return ours?.version === version && isSettled(ours);
  }

  /** The downloaded dependencies to install: those not installed in the same or a newer version. */
  async function missingIn(release: string, signal: AbortSignal): Promise<string[]> {
    const missing: string[] = [];
    for (const file of await dependenciesIn(release)) {
      const deb = await inspectDeb(file, file, signal);
      const here = await installed(deb.name, signal);
      const isEnough =
        here && isSettled(here) && (await compareVersions(here.version, 'ge', deb.version, signal));
      if (!isEnough) missing.push(file);
    }
    return missing;
  }

  return {
    async install(version, release, change) {
      const { signal } = change;
      const { version: target } = await inspectRelease(release, { name, version }, signal);
      if (!change.again && (await has(target, signal))) return;
      await repair(target, change);
      if (!change.again && (await has(target, signal))) return;
      const files = [...(await missingIn(release, signal)), debIn(release)];
      await change.stop();
      change.note(`dpkg installs ${name} ${target}`);
      let run = await dpkg([...INSTALL, ...files], change);
      if (run.ending === 'interrupted') {
        change.note('dpkg was interrupted; resuming it');
        await repair(target, change);
        if (!(await has(target, signal))) run = await dpkg([...INSTALL, ...files], change);
      }
      await units.reload(signal);
      const isReinstalled = !change.again || run.ending === 'done' || run.ending === 'interrupted';
      if (isReinstalled && (await has(target, signal))) return;
      throw failed(`dpkg could not install ${name} ${target}`, run);
    },

    async remove(change) {
      const { signal } = change;
      const isGone = async () => !(await known(signal, name)).some(isThere);
      if (await isGone()) return;
      await change.stop();
      const run = await dpkg([...REMOVE, name], change);
      await units.reload(signal);
      if (!(await isGone())) throw failed(`dpkg could not remove ${name}`, run);
    },
  };
}

function failed(what: string, { ending, output }: DpkgRun): TriggerDeployError {
  const late = ending === 'timed out';
  const why = late ? 'it exceeded installTimeout and was killed' : reasonIn(output);
  return new TriggerDeployError('DPKG_FAILED', why === undefined ? what : `${what}: ${why}`, {
    detail: output,
    ...(late && { hint: '`installTimeout` of the package in agent.yaml limits one run of dpkg' }),
  });
}

/** The error in dpkg's output: the line below the last `dpkg: error processing …`, else the last `dpkg: error: …`. */
export function reasonIn(output: string): string | undefined {
  const below = [...output.matchAll(/^dpkg: error processing .*\n\s*(\S.*)$/gm)].at(-1)?.[1];
  return below ?? [...output.matchAll(/^dpkg: error: (.*)$/gm)].at(-1)?.[1];
}
