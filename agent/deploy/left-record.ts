import type { InstanceRecord } from '../../shared/report.ts';
import type { Identity } from './ports.ts';

/** The record of an instance that has left its environment: publishers ignore the instance. `at`: ms since the epoch. */
export function leftRecord(
  { env, instance, agentVersion }: Pick<Identity, 'env' | 'instance' | 'agentVersion'>,
  service: string,
  at: number,
): InstanceRecord {
  const left = new Date(at).toISOString();
  const nothing = { version: null, sequence: 0, pinned: false };
  return { v: 1, env, service, instance, ...nothing, agentVersion, at: left, leftAt: left };
}
