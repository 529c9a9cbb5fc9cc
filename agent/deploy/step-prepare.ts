import { TriggerDeployError } from '../../shared/errors.ts';
import { sameArtifacts } from '../../shared/manifest.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { assertReady } from './readiness.ts';
import { showsAnother } from './running-version.ts';
import { failedOnce } from './step-check.ts';
import { createVerdict, VERDICT_SPAN } from './verdict.ts';

/** The pause between two probes of a running version, ms. */
const PROBE_PAUSE = 500;

/**
 * Step 1: makes the release complete on this instance, and records the previous version. The running service is not
 * changed. If the version already runs and is healthy, the other steps only check it (`changed: false`).
 */
export async function prepare(run: DeploymentRun): Promise<void> {
  const { order, fresh } = run.active();
  await run.move({ state: 'preparing' });
  const previous = await readPrevious(run);
  if (order.action === 'restart') {
    assertRunningVersion(previous, order.version);
    await assertReady(run);
    await run.move({ state: 'prepared', previous });
    return;
  }
  if (previous === order.version && !fresh && (await runsHealthy(run))) {
    await run.move({ state: 'prepared', previous, changed: false });
    return;
  }
  await assertReleaseWithoutFiles(run);
  const { downloaded } = await run.ports.package.prepare(
    { service: order.service, version: order.version, artifacts: order.artifacts, fresh },
    run.note,
    run.signal,
  );
  await assertReady(run);
  run.note(downloaded > 0 ? `${downloaded} bytes downloaded` : 'nothing to download');
  await run.move({ state: 'prepared', previous });
}

/** A restart must not change the version. It fails if another version runs here. @throws CONFLICT. */
function assertRunningVersion(runs: string | null, version: string): void {
  if (runs === version) return;
  const found = runs === null ? 'no version runs here' : `${runs} runs here`;
  throw new TriggerDeployError('CONFLICT', `cannot restart ${version}: ${found}`);
}

/** An order without artifacts needs a release that is already on this instance. @throws RELEASE_INCOMPLETE. */
async function assertReleaseWithoutFiles(run: DeploymentRun): Promise<void> {
  const { version, artifacts } = run.active().order;
  if (artifacts.length > 0) return;
  const releases = await run.ports.package.releases();
  if (releases.some((release) => release.version === version)) return;
  throw new TriggerDeployError('RELEASE_INCOMPLETE', `the release ${version} is no longer on this instance`);
}

/** The version before the deployment. It is journalled and not read again, because the switch changes `current`. */
async function readPrevious(run: DeploymentRun): Promise<string | null> {
  const known = run.active().previous;
  if (known !== undefined) return known;
  // `adopt` comes first: it also takes over a `current` that cannot be read.
  return (await run.ports.package.adopt(run.signal)) ?? (await run.ports.package.current());
}

async function runsHealthy(run: DeploymentRun): Promise<boolean> {
  const { order } = run.active();
  const releases = await run.ports.package.releases();
  const release = releases.find((one) => one.version === order.version);
  if (!release || !sameArtifacts(release.artifacts, order.artifacts)) return false;
  if (!(await run.ports.package.isWhole())) return false;
  const { active } = await run.ports.manager.status(run.signal);
  if (!active || (await showsAnother(run, order.version))) return false;
  return await passWithRetries(run);
}

/** Whether the checks pass. They must fail for VERDICT_SPAN to be a reason to replace a running version. */
async function passWithRetries(run: DeploymentRun): Promise<boolean> {
  const { clock } = run.ports;
  const verdict = createVerdict(VERDICT_SPAN);
  for (;;) {
    const failure = await failedOnce(run, run.active().order.version);
    if (failure === undefined) return true;
    if (verdict.observe(false, clock.monotonic()) !== undefined) return false;
    await clock.sleep(PROBE_PAUSE, run.signal);
  }
}
