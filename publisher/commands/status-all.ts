import { asTriggerDeployError, isCode, TriggerDeployError } from '../../shared/errors.ts';
import { formatMs } from '../../shared/retry.ts';
import type { Session } from '../session.ts';
import { type ServiceStatus, status } from './status.ts';

export interface OverviewAnswer {
  type: 'overview';
  at: number; // ms since the epoch
  /** In the order of the config. */
  environments: EnvironmentStatus[];
}

export interface EnvironmentStatus {
  env: string;
  /** Empty where it cannot be reached. */
  services: ServiceStatus[];
  /** Why it cannot be reached. */
  trouble?: TriggerDeployError;
}

export interface OverviewOptions {
  service?: string | undefined;
  environments: readonly string[];
  open: (env: string) => Promise<Session>;
  now: () => number;
  /** For tests, ms. */
  patienceMs?: number;
}

/** An environment that does not answer by then keeps nobody waiting, ms. */
const PATIENCE_MS = 20_000;

/**
 * What runs where, across environments: each looked at as `status` does, all at once. One that cannot be reached is
 * named with the reason, and does not spoil the rest.
 * @throws SERVICE_NOT_FOUND when no environment knows the service; what the first said when none can be reached.
 */
export async function overview(options: OverviewOptions): Promise<OverviewAnswer> {
  const { service, now } = options;
  const environments = await Promise.all(options.environments.map((env) => lookAt(env, options)));
  const [first] = environments;
  if (first?.trouble && environments.every((one) => one.trouble)) throw first.trouble;
  const nowhere = environments.every((one) => one.services.length === 0 && !one.trouble);
  if (service !== undefined && nowhere) {
    const names = options.environments.join(', ');
    throw new TriggerDeployError('SERVICE_NOT_FOUND', `there is no service ${service} in any of ${names}`, {
      hint: 'trigger-deploy status --all names those there are',
    });
  }
  return { type: 'overview', at: now(), environments };
}

async function lookAt(env: string, options: OverviewOptions): Promise<EnvironmentStatus> {
  const { service, open, patienceMs = PATIENCE_MS } = options;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const text = `it did not answer within ${formatMs(patienceMs)}`;
    late.reject(new TriggerDeployError('TIMEOUT', text));
  }, patienceMs);
  try {
    const look = async () => await status(await open(env), { service });
    const { services } = await Promise.race([look(), late.promise]);
    return { env, services };
  } catch (error) {
    if (isCode(error, 'INTERRUPTED')) throw error;
    // It is there, and the service is not in it.
    if (isCode(error, 'SERVICE_NOT_FOUND')) return { env, services: [] };
    return { env, services: [], trouble: asTriggerDeployError(error) };
  } finally {
    clearTimeout(timer);
  }
}
