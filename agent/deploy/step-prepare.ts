import { TriggerDeployError } from '../../shared/errors.ts';
import { sameArtifacts } from '../../shared/manifest.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { passOnce } from './step-check.ts';

/** Of the checks of a version that runs already; ms between them. */
const PROBE_ATTEMPTS = 3;
const PROBE_PAUSE = 500;

/**
 * Step 1: the release is complete on this instance, and what ran before is known. Nothing that runs is
 * touched. A version that runs already, healthy, is only checked: `changed: false`.
 */
export async function prepare(run: DeploymentRun): Promise<void> {
  const { order, fresh } = run.active();
  await run.move({ state: 'preparing' });
  const previous = await readPrevious(run);
  if (order.action === 'restart') {
    assertRunningVersion(previous, order.version);
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
  run.note(downloaded > 0 ? `${downloaded} bytes downloaded` : 'nothing to download');
  await run.move({ state: 'prepared', previous });
}

/** A restart changes no version: where another one runs, somebody else has decided on that. */
function assertRunningVersion(runs: string | null, version: string): void {
  if (runs === version) return;
  const what = runs === null ? 'nothing runs here' : `${runs} runs here`;
  throw new TriggerDeployError('CONFLICT', `${what}, not the ${version} that is to be restarted`);
}

/** Only a release that is here can be gone back to without naming files; none is ever made of nothing. */
async function assertReleaseWithoutFiles(run: DeploymentRun): Promise<void> {
  const { version, artifacts } = run.active().order;
  if (artifacts.length > 0) return;
  const releases = await run.ports.package.releases();
  if (releases.some((release) => release.version === version)) return;
  throw new TriggerDeployError('RELEASE_INCOMPLETE', `${version} is not on this instance any more`);
}

/** Looked up once and recorded: after the switch, `current` no longer tells. */
async function readPrevious(run: DeploymentRun): Promise<string | null> {
  const known = run.active().previous;
  if (known !== undefined) return known;
  return (await run.ports.package.current()) ?? (await run.ports.package.adopt());
}

async function runsHealthy(run: DeploymentRun): Promise<boolean> {
  const { order } = run.active();
  const releases = await run.ports.package.releases();
  const release = releases.find((one) => one.version === order.version);
  if (!release || !sameArtifacts(release.artifacts, order.artifacts)) return false;
  if (!(await run.ports.package.isWhole())) return false;
  const { active } = await run.ports.manager.status(run.signal);
  return active && (await passWithRetries(run));
}

/** One failed probe is no reason to restart what runs. */
async function passWithRetries(run: DeploymentRun): Promise<boolean> {
  for (let left = PROBE_ATTEMPTS; ; ) {
    if (await passOnce(run, run.active().order.version)) return true;
    left -= 1;
    if (left === 0) return false;
    await run.ports.clock.sleep(PROBE_PAUSE, run.signal);
  }
}
