import { formatMs } from '../../shared/duration.ts';
import { asTriggerDeployError, isCode, TriggerDeployError } from '../../shared/errors.ts';
import { withTimeout } from '../../shared/retry.ts';
import type { FleetStatusOptions } from '../rollout/fleet-status.ts';
import { type ServiceStatus, serviceStatus } from '../rollout/service-status.ts';
import type { Session } from '../session.ts';
import { checkServiceKnown } from './guards.ts';

export interface StatusAllAnswer {
  at: number; // ms since the epoch
  /** In the order of the config file. */
  environments: EnvironmentStatus[];
}

export interface EnvironmentStatus {
  env: string;
  /** Empty when the environment cannot be reached, or does not have the service. */
  services: ServiceStatus[];
  /** Why the environment cannot be reached. */
  trouble?: TriggerDeployError;
}

export interface StatusAllOptions extends FleetStatusOptions {
  environments: readonly string[];
  open: (env: string) => Promise<Session>;
  now: () => number;
  /** For tests, ms. */
  timeoutMs?: number;
}

/**
 * An environment that is not read within this time is shown as unreachable, ms. Each call to AWS has its own, shorter
 * deadline; to read the records of 5,000 instances takes 10 s of CPU time.
 */
const TIMEOUT_MS = 60_000;

/**
 * `trigger-deploy status --all`: the status of every environment of the config, read in parallel. An environment that
 * cannot be reached is listed with the reason.
 * @throws SERVICE_NOT_FOUND when all environments were reached and none knows the service; the error of the first
 * environment when none can be reached; INTERRUPTED.
 */
export async function statusAll(options: StatusAllOptions): Promise<StatusAllAnswer> {
  const { service, now } = options;
  const environments = await Promise.all(options.environments.map((env) => lookAt(env, options)));
  const [first] = environments;
  if (first?.trouble && environments.every((one) => one.trouble)) throw first.trouble;
  const nowhere = environments.every((one) => one.services.length === 0 && !one.trouble);
  if (service !== undefined && nowhere) {
    const names = options.environments.join(', ');
    throw new TriggerDeployError(
      'SERVICE_NOT_FOUND',
      `there is no service ${service} in the environments ${names}`,
      {
        hint: 'trigger-deploy status --all lists the services',
      },
    );
  }
  return { at: now(), environments };
}

async function lookAt(env: string, options: StatusAllOptions): Promise<EnvironmentStatus> {
  const { service, rollCall, open, timeoutMs = TIMEOUT_MS } = options;
  try {
    const services = await withTimeout(timeoutMs, async () => {
      const session = await open(env);
      const found = await serviceStatus(session, { service, rollCall });
      await checkServiceKnown(session, service, found);
      return found;
    });
    return { env, services };
  } catch (error) {
    if (isCode(error, 'INTERRUPTED')) throw error;
    // The environment answered: it has no such service.
    if (isCode(error, 'SERVICE_NOT_FOUND')) return { env, services: [] };
    return { env, services: [], trouble: troubleOf(env, timeoutMs, error) };
  }
}

/** A time-out names the environment: the call to AWS that it ended has said nothing. */
function troubleOf(env: string, timeoutMs: number, error: unknown): TriggerDeployError {
  if (!isCode(error, 'TIMEOUT')) return asTriggerDeployError(error);
  return new TriggerDeployError('TIMEOUT', `${env}: AWS gave no answer within ${formatMs(timeoutMs)}`, {
    cause: error,
    hint: 'check the network, the region, and AWS_ENDPOINT_URL if it is set',
  });
}
