import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { deadline } from '../../shared/retry.ts';
import { beginSpan } from '../../shared/spans.ts';
import { commandEnvironment } from './command-environment.ts';
import type { DeploymentRun } from './deployment-run.ts';
import type { Check, Expected } from './ports.ts';
import { assertRuns } from './running-version.ts';
import type { ServiceStatus } from './service-port.ts';
import { CRASH_LOOP, createVerdict, DOWN_SPAN } from './verdict.ts';

/** The first and the longest pause between two probes, ms. The first is short, because most services start quickly. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1000;

/**
 * Step 5: every check passes as often in a row as configured, within its deadline, and no process of the service shows
 * another version. Returns the status that the watch period compares with: from before the checks began to pass, no
 * crash goes unseen, however slow the machine is. `started` is the status after a start just now.
 * @throws CHECK_FAILED, RELEASE_NOT_RUN.
 */
export async function check(run: DeploymentRun, started?: ServiceStatus): Promise<ServiceStatus> {
  await run.move({ state: 'checking' });
  const { version } = run.active().order;
  const since = await passChecks(run, version, started);
  await assertRuns(run, version);
  const now = await run.ports.manager.status(run.signal);
  for (const { mainPid } of since) {
    if (mainPid === null || now.mainPid === mainPid) continue;
    throw new TriggerDeployError(
      'CHECK_FAILED',
      `the checks passed, then the main process changed from ${mainPid} to ${now.mainPid ?? 'none'}`,
    );
  }
  return now;
}

/**
 * Runs the checks of the config against `version` in parallel; the first failure ends the others. Then the unit must
 * also be active: a leftover process of a dead service may still answer with the right version. Returns the status
 * before each check began to pass, and the one after all have passed. @throws CHECK_FAILED.
 */
export async function passChecks(
  run: DeploymentRun,
  version: string,
  started?: ServiceStatus,
): Promise<ServiceStatus[]> {
  const before = await passAllChecks(run, version, started);
  const status = await run.ports.manager.status(run.signal);
  const { active, summary } = status;
  if (!active)
    throw new TriggerDeployError(
      'CHECK_FAILED',
      `the checks pass, but the service is not active: ${summary}`,
      { hint: 'another process answers the checks: end it, or check another port' },
    );
  return [...before, status];
}

async function passAllChecks(
  run: DeploymentRun,
  version: string,
  started: ServiceStatus | undefined,
): Promise<ServiceStatus[]> {
  const siblings = new AbortController();
  const signal = AbortSignal.any([run.signal, siblings.signal]);
  const first = started ?? (await run.ports.manager.status(run.signal));
  const assertAlive = createAliveCheck(run, first);
  const allHealthy = beginSpan('healthy');
  let unanswered = run.service.checks.length;
  const healthy = () => {
    unanswered -= 1;
    if (unanswered === 0) allHealthy();
  };
  const pending = run.service.checks.map((one) =>
    passCheck(run, one, version, { signal, first, assertAlive, healthy }),
  );
  try {
    return await Promise.all(pending);
  } finally {
    siblings.abort();
    await Promise.allSettled(pending);
  }
}

/** Tries each check once. Returns the first that fails, with its answer: `GET http://…/health: http 503`. */
export async function failedOnce(run: DeploymentRun, version: string): Promise<string | undefined> {
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
  {
    signal: parent,
    first,
    assertAlive,
    healthy,
  }: { signal: AbortSignal; first: ServiceStatus; assertAlive: AliveCheck; healthy: () => void },
): Promise<ServiceStatus> {
  const expected = expectationOf(run, version);
  let last = 'no attempt yet';
  let passed = 0;
  let hasPassed = false;
  let before = first;
  const what = run.ports.probe.describe(one);
  using bound = deadline(one.deadline, parent, what);
  try {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 1.5)) {
      const { ok, note } = await run.ports.probe.probe(one, expected, bound.signal);
      passed = ok ? passed + 1 : 0;
      if (ok && !hasPassed) healthy();
      hasPassed ||= ok;
      last = note;
      run.note(`${note}, ${passed} of ${one.successes}`);
      if (passed >= one.successes) return before;
      if (!ok) await assertAlive(bound.signal);
      await run.ports.clock.sleep(pause, bound.signal);
      if (!ok) before = await run.ports.manager.status(bound.signal);
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

type AliveCheck = (signal: AbortSignal) => Promise<void>;

/**
 * Returns a function that fails at once, not at the deadline of a check, when no check can pass any more: the manager
 * reports that the service failed, is down, or is in a crash loop. @throws CHECK_FAILED.
 */
function createAliveCheck({ ports }: DeploymentRun, { restarts: before }: ServiceStatus): AliveCheck {
  const { clock, manager } = ports;
  // A pid file that is being written anew makes a service look down for a moment.
  const down = createVerdict(DOWN_SPAN);
  return async (signal) => {
    const { failed, down: isDown = false, restarts, summary } = await manager.status(signal);
    const isVerdict = down.observe(!isDown, clock.monotonic()) !== undefined;
    if (failed || isVerdict) {
      throw new TriggerDeployError('CHECK_FAILED', `the service is not active: ${summary}`);
    }
    const count = restarts - before;
    if (count < CRASH_LOOP) return;
    throw new TriggerDeployError(
      'CHECK_FAILED',
      `the service is in a crash loop: its manager has restarted it ${count} times (${summary})`,
    );
  };
}

/** Where agent.yaml sets the deadline of the check. */
function settingOf({ service }: DeploymentRun, one: Check): string {
  return `\`deadline\` (${formatMs(one.deadline)}) of check ${service.checks.indexOf(one) + 1} of ${service.name} in agent.yaml`;
}

function expectationOf(run: DeploymentRun, version: string): Expected {
  const service = run.service.name;
  return { service, version, environment: commandEnvironment({ env: run.identity.env, service, version }) };
}
