import { asTriggerDeployError, isCode, TriggerDeployError } from '../../shared/errors.ts';
import { withTimeout } from '../../shared/retry.ts';
import { type Standing, standingAt } from '../record/standing.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface StandingAnswer {
  /** The time that was asked about, ms since the epoch. */
  time: number;
  environments: {
    env: string;
    services: Standing[];
    /** Why the environment cannot be read. */
    trouble?: TriggerDeployError;
  }[];
}

export interface StandingOptions {
  service?: string | undefined;
  /** How long ago, when, or the last such time of the day (UTC); ms. */
  moment: { ago: number } | { at: number } | { ofDay: number };
  environments: readonly string[];
  open: (env: string) => Promise<Session>;
  now: () => number;
}

const DAY_MS = 86_400_000;
const TIMEOUT_MS = 60_000;

/**
 * `trigger-deploy status --at TIME`: which version was desired where at a time, and what was under way, from the signed
 * record. Where several environments are asked, one that cannot be read is listed with the reason.
 * @throws USAGE for a time in the future; SERVICE_NOT_FOUND; the error of the only environment.
 */
export async function standing(options: StandingOptions): Promise<StandingAnswer> {
  const { service, environments, open, now } = options;
  const time = timeOf(options.moment, now());
  if (time > now()) {
    throw new TriggerDeployError('USAGE', `--at: ${new Date(time).toISOString()} is in the future`, {
      hint: 'times are in UTC: 14:02, 2h (ago), 2026-11-01T14:02',
    });
  }
  const lookAt = async (env: string): Promise<StandingAnswer['environments'][number]> => {
    try {
      return await withTimeout(TIMEOUT_MS, async () => {
        const session = await open(env);
        const { deployments } = session.record;
        const services = service === undefined ? await deployments.services() : [service];
        const found = await standingAt(deployments, services, time);
        if (found.length === 0 && service !== undefined && environments.length === 1) {
          await checkServiceExists(session, service);
        }
        return { env, services: found };
      });
    } catch (error) {
      if (environments.length === 1 || isCode(error, 'INTERRUPTED')) throw error;
      return { env, services: [], trouble: asTriggerDeployError(error) };
    }
  };
  return { time, environments: await Promise.all(environments.map(lookAt)) };
}

function timeOf(moment: StandingOptions['moment'], now: number): number {
  if ('ago' in moment) return now - moment.ago;
  if ('at' in moment) return moment.at;
  const today = now - (now % DAY_MS) + moment.ofDay;
  return today <= now ? today : today - DAY_MS;
}
