import type { FleetStatusOptions } from '../rollout/fleet-status.ts';
import { type ServiceStatus, serviceStatus } from '../rollout/service-status.ts';
import type { Session } from '../session.ts';
import { checkServiceKnown } from './guards.ts';

export interface StatusAnswer {
  type: 'status';
  env: string;
  at: number; // ms since the epoch
  services: ServiceStatus[];
}

/** `trigger-deploy status [SERVICE]`: what each instance runs. @throws SERVICE_NOT_FOUND, and as `serviceStatus`. */
export async function status(
  session: Session,
  { service, rollCall }: FleetStatusOptions,
): Promise<StatusAnswer> {
  const services = await serviceStatus(session, { service, rollCall });
  await checkServiceKnown(session, service, services);
  return { type: 'status', env: session.env.name, at: session.clock.now(), services };
}
