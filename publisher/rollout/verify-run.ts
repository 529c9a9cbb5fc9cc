import { parseDuration } from '../../shared/duration.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import type { Environment } from '../config/load.ts';
import { note } from '../events.ts';
import { dueChecks, VERIFY_TIMEOUT_MS } from '../plan/checks.ts';
import type { VerifyRun } from '../record/check-schema.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';

/**
 * Runs the command `verify` of a deployment beside the wave loop. The command is that of this publisher's own config: no
 * text of the record is run. Its verdict counts only once it is in the record.
 */

export interface Verifying {
  /** The run as it is now; it has an `endedAt` once it has ended. */
  readonly run: VerifyRun;
  /** Ends the command with its children, and waits for its end. Never rejects. */
  stop(): Promise<void>;
}

/** How many bytes of instance ids the command gets: a variable has at most 128 KiB on Linux. */
const INSTANCES_LIMIT = 100_000;

/** `verify` of the service in the config of this machine, and where it runs; undefined when it has none. */
function verifyOf({ services, directory = process.cwd() }: Environment, service: string) {
  const verify = services[service]?.verify;
  if (verify === undefined) return undefined;
  const timeoutMs =
    (verify.timeout === undefined ? undefined : parseDuration(verify.timeout)) ?? VERIFY_TIMEOUT_MS;
  return { run: verify.run, cwd: directory, timeoutMs };
}

/** The command of this publisher's config, where it is another one than the deployment demands; undefined otherwise. */
export function otherVerify(
  { env }: Pick<Session, 'env'>,
  { service, checks }: Pick<DeploymentRecord, 'service' | 'checks'>,
): readonly string[] | undefined {
  const demanded = dueChecks(checks)?.verify?.run;
  const own = env.services[service]?.verify?.run;
  if (demanded === undefined || own === undefined) return undefined;
  return own.join('\0') === demanded.join('\0') ? undefined : own;
}

/**
 * Refuses a deployment that this machine cannot verify: its config has no `verify` for the service, or the program is not
 * there. @throws CONFIG_INVALID.
 */
export async function refuseIfUnverifiable(
  session: Pick<Session, 'env' | 'emit' | 'clock'>,
  { service, checks }: Pick<DeploymentRecord, 'service' | 'checks'>,
): Promise<void> {
  const demanded = dueChecks(checks)?.verify;
  if (demanded === undefined) return;
  const { env } = session;
  const command = verifyOf(env, service);
  const place = `environments.${env.name}.services.${service}.verify`;
  if (command === undefined) {
    throw new TriggerDeployError(
      'CONFIG_INVALID',
      `the deployment demands verify, and the config of this machine has none for ${service} in ${env.name}`,
      { hint: `add ${place}, or continue on a machine that has it` },
    );
  }
  const { whyNotRunnable } = await import('../checks/run-verify.ts');
  const why = await whyNotRunnable(command.run, command.cwd);
  if (why === undefined) {
    const other = otherVerify(session, { service, checks });
    const text = `verify is another command here than where the deployment started: ${other?.join(' ')}`;
    if (other) note(session, text, 'warning');
    return;
  }
  throw new TriggerDeployError('CONFIG_INVALID', `${service} cannot be verified: ${why}`, {
    hint: `correct ${place}; a path is relative to the directory of the config file`,
  });
}

/** What the command is told of: the deployment, when it runs, and the reports of the instances. */
interface About {
  record: DeploymentRecord;
  phase: VerifyRun['phase'];
  reports: ReadonlyMap<string, Report>;
}

/** Starts the command. @throws CONFIG_INVALID when the config of this machine has none. */
export function startVerify(session: Session, about: About): Verifying {
  const { record, phase } = about;
  const { clock, env } = session;
  const time = () => new Date(clock.now()).toISOString();
  const command = verifyOf(env, record.service);
  if (command === undefined)
    throw new TriggerDeployError('CONFIG_INVALID', `no verify for ${record.service}`);
  const stop = new AbortController();
  const other = otherVerify(session, record);
  const state: { run: VerifyRun } = { run: { phase, startedAt: time(), ...(other && { run: [...other] }) } };
  const work = async () => {
    const { runVerify } = await import('../checks/run-verify.ts');
    const variables = variablesOf(about);
    const { why, output } = await runVerify({ ...command, variables }, stop.signal);
    return { passed: why === undefined, ...(why !== undefined && { why }), ...(output !== '' && { output }) };
  };
  const ended = work()
    .catch((error: unknown) => ({ passed: false, why: messageOf(error) }))
    .then((result) => {
      // One that was stopped gave no verdict.
      if (!stop.signal.aborted) state.run = { ...state.run, endedAt: time(), ...result };
    });
  return {
    get run() {
      return state.run;
    },
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

/** The variables of the command, as the hooks of agents have them. The instances are those that run the version now. */
function variablesOf({ record, phase, reports }: About): Record<string, string> {
  const { deployment, env, service, version, previous, action, rolling } = record;
  const waves = rolling?.waves ?? [];
  const passed = waves.filter(({ passedAt }) => passedAt !== undefined);
  const instances = record.expected.filter((instance) => reports.get(instance)?.state === 'succeeded');
  return {
    TRIGGER_DEPLOY_DEPLOYMENT: deployment,
    TRIGGER_DEPLOY_ENV: env,
    TRIGGER_DEPLOY_SERVICE: service,
    TRIGGER_DEPLOY_VERSION: version,
    TRIGGER_DEPLOY_PREVIOUS: previous ?? '',
    TRIGGER_DEPLOY_ACTION: action,
    TRIGGER_DEPLOY_PHASE: phase,
    TRIGGER_DEPLOY_WAVE: String(passed.length),
    TRIGGER_DEPLOY_WAVES: String(waves.length),
    TRIGGER_DEPLOY_INSTANCES: fitting(instances),
    TRIGGER_DEPLOY_INSTANCE_COUNT: String(instances.length),
  };
}

/** The first ids, as many as fit. */
function fitting(instances: readonly string[]): string {
  const text = instances.join(' ');
  return text.length <= INSTANCES_LIMIT ? text : text.slice(0, text.lastIndexOf(' ', INSTANCES_LIMIT));
}
