import { TriggerDeployError } from '../../shared/errors.ts';
import type { DeploymentRun } from './deployment-run.ts';
import type { Look, ServiceProcess, Shown } from './look-port.ts';
import type { Active } from './state.ts';
import { VERDICT_SPAN } from './verdict.ts';

/**
 * Whether the service runs the version that it should. Health checks cannot tell if they do not name the version: the
 * unit may start a fixed old path, or the restart may have replaced nothing. So its processes are looked at.
 */

const LOOK_PAUSE = 500; // ms
/** The journal holds the ids of so many processes at most. */
const MOST_PROCESSES = 1000;

/** The ids of the service's processes now; empty if they cannot be read. */
export async function processIds(run: DeploymentRun): Promise<string[]> {
  return (await processesOf(run)).map(({ id }) => id);
}

/** Whether a process of the service shows another version than `version`. */
export async function showsAnother(run: DeploymentRun, version: string): Promise<boolean> {
  const { package: pkg } = run.ports;
  const look = await pkg.look?.(version, await processesOf(run), new Set());
  return look?.shown.some(({ wanted }) => !wanted) ?? false;
}

/**
 * Looks at the processes of the service. What they show must contradict `version` for VERDICT_SPAN, because a process of
 * the version before may still be ending. Journals a warning if they show nothing of `version`.
 * @throws RELEASE_NOT_RUN.
 */
export async function assertRuns(run: DeploymentRun, version: string): Promise<void> {
  const { clock, package: pkg } = run.ports;
  if (!pkg.look) return;
  const end = clock.monotonic() + VERDICT_SPAN;
  for (;;) {
    const processes = await processesOf(run);
    const before = run.active().processesBefore ?? [];
    const since = run.active().processesBeforeRollback ?? before;
    const look = await pkg.look(version, processes, new Set(since));
    const { problem, hint, warning } = judge(look, processes, version, run.active());
    if (problem === undefined) {
      if (warning !== run.active().warning) {
        if (warning !== undefined) run.log.warn({ hint: look.hint }, warning);
        await run.move({ warning });
      }
      return;
    }
    run.note(problem);
    if (clock.monotonic() >= end) throw new TriggerDeployError('RELEASE_NOT_RUN', problem, { hint });
    await clock.sleep(LOOK_PAUSE, run.signal);
  }
}

interface Judgement {
  problem?: string;
  hint?: string;
  warning?: string | undefined;
}

const HINT_KEPT =
  'the restart must replace every process of the service: see KillMode= of its unit, or `stop` and `start` in agent.yaml';

function judge(
  look: Look,
  processes: readonly ServiceProcess[],
  version: string,
  active: Pick<Active, 'direction' | 'order' | 'processesBefore' | 'processesBeforeRollback'>,
): Judgement {
  const { order, direction } = active;
  const isBack = direction === 'back';
  const before = new Set(active.processesBefore ?? []);
  const beforeBack = new Set(active.processesBeforeRollback ?? []);
  const others = look.shown.filter(({ wanted }) => !wanted);
  // A rollback fails only if what it should replace still runs. Anything else ran before this deployment, too.
  const isFailed = (one: Shown) =>
    one.version === undefined ? !before.has(one.process.id) : one.version === order.version;
  const [wrong] = isBack ? others.filter((one) => isFailed(one)) : others;
  if (wrong) return { problem: `${textOf(wrong)}, not ${version}`, hint: look.hint };

  const isShown = look.shown.some(({ wanted }) => wanted);
  const kept = processes.filter(({ id }) =>
    isBack ? beforeBack.has(id) && !before.has(id) : before.has(id),
  );
  const main = kept.find((one) => one.main);
  const survivor = main ?? (kept.length === processes.length ? kept[0] : undefined);
  if (survivor && (!isShown || (main && order.action === 'restart'))) {
    const what = isBack ? 'rollback' : order.action === 'restart' ? 'restart' : 'switch';
    return {
      problem: `process ${survivor.pid} of the service started before the ${what}, and still runs: ${version} was not started`,
      hint: HINT_KEPT,
    };
  }
  const [other] = others;
  if (other) return { warning: `${textOf(other)}, not ${version}, as before this deployment` };
  return isShown ? {} : { warning: unshown(look, processes, version) };
}

const textOf = ({ process, version, by }: Shown) =>
  `process ${process.pid} of the service runs ${version ?? 'an older version'} (${by})`;

function unshown({ hidden, missing }: Look, processes: readonly ServiceProcess[], version: string): string {
  const what = `nothing shows that the service runs ${version}`;
  if (processes.length === 0) return `${what}: no process of it is known`;
  if (hidden > 0) return `${what}: the agent may not inspect ${hidden} of its ${processes.length} processes`;
  return `${what}: none of its ${processes.length} processes has or names ${missing}`;
}

async function processesOf(run: DeploymentRun): Promise<ServiceProcess[]> {
  try {
    const found = await run.ports.manager.processes(run.signal);
    return found.sort((a, b) => Number(b.main) - Number(a.main)).slice(0, MOST_PROCESSES);
  } catch (error) {
    run.signal.throwIfAborted();
    run.log.warn({ err: error }, 'the processes of the service cannot be read');
    return [];
  }
}
