import { TriggerDeployError } from '../../shared/errors.ts';
import { deadline, formatMs } from '../../shared/retry.ts';
import { commandEnvironment } from './command-environment.ts';
import type { DeploymentRun } from './deployment-run.ts';
import type { Check, Expected } from './ports.ts';

/** The first and the longest pause between two probes, ms. The first is short, because most services start quickly. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1000;
/** The watch period fails after this many failed probes in a row. */
const WATCH_FAILURES = 3;

/** Step 5: every check passes as often in a row as configured, within its deadline. @throws CHECK_FAILED. */
export async function check(run: DeploymentRun): Promise<void> {
  await run.move({ state: 'checking' });
  await passChecks(run, run.active().order.version);
}

/**
 * Runs the checks of the config against `version` in parallel; the first failure ends the others. Then the unit must
 * also be active: a leftover process of a dead service may still answer with the right version. @throws CHECK_FAILED.
 */
export async function passChecks(run: DeploymentRun, version: string): Promise<void> {
  await passAllChecks(run, version);
  const { active, summary } = await run.ports.manager.status(run.signal);
  if (!active)
    throw new TriggerDeployError(
      'CHECK_FAILED',
      `the checks pass, but the service is not active: ${summary}`,
      { hint: 'another process answers the checks: end it, or check another port' },
    );
}

async function passAllChecks(run: DeploymentRun, version: string): Promise<void> {
  const siblings = new AbortController();
  const signal = AbortSignal.any([run.signal, siblings.signal]);
  const pending = run.service.checks.map((one) => passCheck(run, one, version, signal));
  try {
    await Promise.all(pending);
  } finally {
    siblings.abort();
    await Promise.allSettled(pending);
  }
}

/** Tries each check once; returns whether all pass. */
export async function passOnce(run: DeploymentRun, version: string): Promise<boolean> {
  return (await failedOnce(run, version)) === undefined;
}

/** Tries each check once. Returns the first that fails, with its answer: `GET http://…/health: http 503`. */
async function failedOnce(run: DeploymentRun, version: string): Promise<string | undefined> {
  const { checks } = run.service;
  const { probe } = run.ports;
  const expected = expectationOf(run, version);
  const answers = await Promise.all(checks.map((one) => probe.probe(one, expected, run.signal)));
  const failed = answers.findIndex((answer) => !answer.ok);
  const check = checks[failed];
  return check && `${probe.describe(check)}: ${answers[failed]?.note}`;
}

async function passCheck(
  run: DeploymentRun,
  one: Check,
  version: string,
  parent: AbortSignal,
): Promise<void> {
  const expected = expectationOf(run, version);
  let last = 'no attempt yet';
  let passed = 0;
  const what = run.ports.probe.describe(one);
  using bound = deadline(one.deadline, parent, what);
  try {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 1.5)) {
      const { ok, note } = await run.ports.probe.probe(one, expected, bound.signal);
      passed = ok ? passed + 1 : 0;
      last = note;
      run.note(`${note}, ${passed} of ${one.successes}`);
      if (passed >= one.successes) return;
      if (!ok) await failIfUnitFailed(run, bound.signal);
      await run.ports.clock.sleep(pause, bound.signal);
    }
  } catch (cause) {
    if (!bound.expired() || parent.aborted) throw cause;
    throw new TriggerDeployError(
      'CHECK_FAILED',
      `${what}: ${last} (${passed} of ${one.successes}) after ${formatMs(one.deadline)}`,
      { hint: `${settingOf(run, one)} limits the wait; the end of the log of the service is in the report` },
    );
  }
}

/** Fails at once, not at the deadline, when the manager reports the unit as failed: no check can pass any more. */
async function failIfUnitFailed(run: DeploymentRun, signal: AbortSignal): Promise<void> {
  const status = await run.ports.manager.status(signal);
  if (status.failed) {
    throw new TriggerDeployError('CHECK_FAILED', `the service is not active: ${status.summary}`);
  }
}

/**
 * The watch period: the main process must stay the same, the manager must not restart it, and the checks must keep
 * passing. Catches a version that fails a few seconds after its checks passed. @throws WATCH_FAILED.
 */
export async function watch(run: DeploymentRun): Promise<void> {
  if (run.service.watch === 0 || !run.active().changed) return;
  const { clock, manager } = run.ports;
  const before = await manager.status(run.signal);
  await run.move({ state: 'watching' });
  const until = clock.monotonic() + run.service.watch;
  let failedInARow = 0;
  while (clock.monotonic() < until || failedInARow > 0) {
    await clock.sleep(Math.min(LONGEST_PAUSE, Math.max(FIRST_PAUSE, until - clock.monotonic())), run.signal);
    const now = await manager.status(run.signal);
    if (!now.active) throw watchFailed(`the service is not active: ${now.summary}`);
    if (now.mainPid !== before.mainPid) {
      throw watchFailed(
        `the main process changed from ${before.mainPid ?? 'none'} to ${now.mainPid ?? 'none'}`,
      );
    }
    if (now.restarts > before.restarts)
      throw watchFailed(`the service was restarted ${now.restarts - before.restarts} times`);
    const failed = await failedOnce(run, run.active().order.version);
    failedInARow = failed === undefined ? 0 : failedInARow + 1;
    if (failedInARow >= WATCH_FAILURES)
      throw watchFailed(`${failed} (failed ${failedInARow} times in a row)`);
  }
}

/** Where agent.yaml sets the deadline of the check. */
function settingOf({ service }: DeploymentRun, one: Check): string {
  return `\`deadline\` (${formatMs(one.deadline)}) of check ${service.checks.indexOf(one) + 1} of ${service.name} in agent.yaml`;
}

function expectationOf(run: DeploymentRun, version: string): Expected {
  const service = run.service.name;
  return { service, version, environment: commandEnvironment({ env: run.identity.env, service, version }) };
}

function watchFailed(what: string): TriggerDeployError {
  return new TriggerDeployError('WATCH_FAILED', `the checks passed, then ${what}`);
}
