import { sleepUnlessAborted } from '../../../shared/abort.ts';
import { formatMs } from '../../../shared/duration.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { Change } from '../../deploy/ports.ts';
import type { Packages } from './contents.ts';
import { areInstalled, type DebFile, isSettled, isThere, known } from './dpkg.ts';
import type { DpkgRun, DpkgUnits } from './dpkg-unit.ts';
import type { Installation } from './installation.ts';

/**
 * Installs and removes the packages of a service with dpkg. After each run dpkg-query decides whether it worked. The
 * result of the run is not reliable: a unit that has succeeded looks like a unit that never existed, and a problem of
 * another package also makes dpkg fail.
 */
export interface Installer {
  /** @throws DPKG_LOCKED, DPKG_FAILED, STOP_FAILED. */
  install(plan: Installation, change: Change): Promise<void>;
  /**
   * Removes the packages `names`, and then installs `debs`: packages that the deployment had replaced. Keeps conffiles.
   * @throws DPKG_LOCKED, DPKG_FAILED, STOP_FAILED.
   */
  remove(names: readonly string[], debs: readonly DebFile[], change: Change): Promise<void>;
}

/** With these options dpkg asks no question about conffiles, and accepts an older version. */
const INSTALL = ['dpkg', '--force-confdef', '--force-confold', '--force-downgrade', '--install'];
/** Keeps conffiles. Also removes a package that dpkg wants to have reinstalled first. */
const REMOVE = ['dpkg', '--force-remove-reinstreq', '--remove'];
/** Removes companions that the next run of dpkg makes superfluous. */
const REMOVE_NEEDED = ['dpkg', '--force-remove-reinstreq', '--force-depends', '--remove'];
const LOCK_HELD =
  /lock (?:was|is) locked by another process(?: with pid (\d+))?|is locked by another process/;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2000;
/** States that `dpkg --configure -a` continues. */
const UNCONFIGURED = new Set(['unpacked', 'half-configured', 'triggers-awaited', 'triggers-pending']);

export function createInstaller(options: {
  service: string;
  /** The packages that deployments of the service install. */
  names: readonly string[];
  units: DpkgUnits;
  /** How long to wait for the dpkg lock of another process, ms. */
  lockTimeout: number;
}): Installer {
  const { service, names, units, lockTimeout } = options;

  /** Runs dpkg; retries while another process holds its lock. @throws DPKG_LOCKED. */
  async function dpkg(argv: readonly string[], change: Change): Promise<DpkgRun> {
    const { deployment, direction, attempt, signal } = change;
    const unit = `trigger-deploy-${service}-${deployment}-${direction}-${attempt}.service`;
    const end = performance.now() + lockTimeout;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      const run = await timeSpan('unpack', () => units.run(unit, argv, signal));
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
   * Configures packages whose installation was interrupted. It leaves out our own packages if one is incomplete, unless
   * a forward switch is to install exactly these versions: any other version would fail again, and is replaced next. A
   * run of dpkg here also waits for the dpkg lock while the service still runs.
   */
  async function repair(packages: Packages, change: Change): Promise<void> {
    const { signal } = change;
    const ours = (await known({ signal }, ...names)).filter(isThere);
    const incomplete = ours.filter((one) => !isSettled(one));
    const isTarget = incomplete.every((one) =>
      packages.some(({ name, version }) => name === one.name && version === one.version),
    );
    if (incomplete.length === 0 || (isTarget && change.direction === 'forward')) {
      await dpkg(['dpkg', '--force-confdef', '--force-confold', '--configure', '--pending'], change);
      return;
    }
    const others = (await known({ signal })).filter(
      (one) => UNCONFIGURED.has(one.status) && !names.includes(one.name),
    );
    if (others.length === 0) return;
    const called = others.map((one) => `${one.name}:${one.architecture}`.replace(/:all$/, ''));
    await dpkg(['dpkg', '--force-confdef', '--force-confold', '--configure', ...called], change);
  }

  async function areGone(packages: readonly string[], signal: AbortSignal): Promise<boolean> {
    return packages.length === 0 || !(await known({ signal }, ...packages)).some(isThere);
  }

  const filesOf = (debs: readonly DebFile[]) => debs.map(({ file }) => file);

  return {
    async install({ packages, beside, remove }, change) {
      const { signal } = change;
      const isDone = async () =>
        (await areInstalled(packages, { signal })) && (await areGone(remove, signal));
      const [{ name, version }] = packages;
      if (
        !change.again &&
        (await isDone()) &&
        (change.direction === 'forward' || (await areInstalled(beside, { signal })))
      ) {
        return;
      }
      await repair(packages, change);
      if (!change.again && (await isDone()) && beside.length === 0) return;
      await change.stop();
      if (!(await areGone(remove, signal))) {
        change.note(`dpkg removes ${remove.join(', ')}`);
        const run = await dpkg([...REMOVE_NEEDED, ...remove], change);
        if (!(await areGone(remove, signal))) throw failed(`dpkg could not remove ${remove.join(', ')}`, run);
      }
      change.note(`dpkg installs ${name} ${version}`);
      const argv = [...INSTALL, ...filesOf([...beside, ...packages])];
      let run = await dpkg(argv, change);
      if (run.ending === 'interrupted') {
        change.note('dpkg was interrupted; resuming it');
        await repair(packages, change);
        if (!(await areInstalled(packages, { signal }))) run = await dpkg(argv, change);
      }
      await units.reload(signal);
      const isReinstalled = !change.again || run.ending === 'done' || run.ending === 'interrupted';
      if (isReinstalled && (await isDone())) return;
      throw failed(`dpkg could not install ${name} ${version}`, run);
    },

    async remove(packages, debs, change) {
      const { signal } = change;
      if ((await areGone(packages, signal)) && (await areInstalled(debs, { signal }))) return;
      await change.stop();
      let run: DpkgRun | undefined;
      if (!(await areGone(packages, signal))) run = await dpkg([...REMOVE, ...packages], change);
      if (debs.length > 0 && !(await areInstalled(debs, { signal }))) {
        run = await dpkg([...INSTALL, ...filesOf(debs)], change);
      }
      await units.reload(signal);
      if ((await areGone(packages, signal)) && (await areInstalled(debs, { signal }))) return;
      const what = `dpkg could not remove ${packages.join(', ')}`;
      throw run ? failed(what, run) : new TriggerDeployError('DPKG_FAILED', what);
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
