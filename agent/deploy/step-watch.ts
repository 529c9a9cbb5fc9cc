import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { assertRuns } from './running-version.ts';
import type { ServiceStatus } from './service-port.ts';
import { failedOnce } from './step-check.ts';
import { createVerdict, DOWN_SPAN, RECOVERY_SPAN, VERDICT_SPAN } from './verdict.ts';

/** The pause between two probes, and between two probes while the service is not well, ms. */
const PAUSE = 1000;
const PAUSE_WHEN_UNWELL = 250;
/** How often the processes of the service are looked at, ms. */
const LOOK_EVERY = 5000;

/**
 * The watch period: the main process must stay the same, the manager must not restart it, the checks must keep passing,
 * and no process may show another version. Catches a version that fails a few seconds after its checks passed. A
 * failure that begins late in the period prolongs it until there is a verdict. `checked` is what the checks returned:
 * between them and the first look, too, no crash goes unseen. @throws WATCH_FAILED, RELEASE_NOT_RUN.
 */
export async function watch(run: DeploymentRun, checked: ServiceStatus): Promise<void> {
  if (run.service.watch === 0 || !run.active().changed) return;
  const { clock, manager } = run.ports;
  const { version } = run.active().order;
  let { mainPid: pidBefore, restarts: restartsBefore } = checked;
  await run.move({ state: 'watching' });
  const until = clock.monotonic() + run.service.watch;
  const checks = createVerdict(VERDICT_SPAN, RECOVERY_SPAN);
  const up = createVerdict(DOWN_SPAN);
  const isUnwell = () => checks.isOpen() || up.isOpen();
  for (let lookAt = clock.monotonic() + LOOK_EVERY; clock.monotonic() < until || isUnwell(); ) {
    const left = Math.max(0, until - clock.monotonic());
    await clock.sleep(isUnwell() ? PAUSE_WHEN_UNWELL : Math.min(PAUSE, left), run.signal);

    const { active, failed, mainPid, restarts, summary } = await manager.status(run.signal);
    // Without a start of its own, a service that has a main process keeps it.
    pidBefore ??= mainPid;
    const isLost = mainPid === null && pidBefore !== null;
    const isVerdict = up.observe(active && !isLost, clock.monotonic()) !== undefined;
    if (failed || (isVerdict && !active)) throw watchFailed(`the service is not active: ${summary}`);
    if (isVerdict || (mainPid !== null && mainPid !== pidBefore)) {
      throw watchFailed(`the main process changed from ${pidBefore} to ${mainPid ?? 'none'}`);
    }
    // The count begins again at 0 when a person starts the service.
    restartsBefore = Math.min(restartsBefore, restarts);
    if (restarts > restartsBefore) {
      throw watchFailed(`the service was restarted ${restarts - restartsBefore} times`);
    }

    const failure = await failedOnce(run, version);
    const lasted = checks.observe(failure === undefined, clock.monotonic());
    if (lasted !== undefined) throw watchFailed(`${failure} (it has been failing for ${formatMs(lasted)})`);
    if (clock.monotonic() < lookAt) continue;
    await assertRuns(run, version);
    lookAt = clock.monotonic() + LOOK_EVERY;
  }
  await assertRuns(run, version);
}

function watchFailed(what: string): TriggerDeployError {
  return new TriggerDeployError('WATCH_FAILED', `the checks passed, then ${what}`);
}
