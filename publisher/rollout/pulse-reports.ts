import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Pulse } from '../record/pulse.ts';
import { isNewer } from './follow.ts';

/**
 * The states in a pulse as reports, to be shown: only of instances that the record names or that have reported
 * themselves, and only what is newer than what the record has. Pure.
 */
export function reportsOf(
  pulse: Pulse | undefined,
  record: Pick<DeploymentRecord, 'deployment' | 'env' | 'service' | 'sequence' | 'expected'>,
  known: ReadonlyMap<string, Report>,
): Report[] {
  const expected = new Set(record.expected);
  const { deployment, env, service, sequence } = record;
  return (pulse?.instances ?? []).flatMap((beat) => {
    const own = known.get(beat.instance);
    if (own === undefined && !expected.has(beat.instance)) return [];
    const { step, note, zone, ...rest } = beat;
    const more = {
      ...(step !== undefined && { step }),
      ...(note !== undefined && { note }),
      ...(zone !== undefined && { zone }),
    };
    const about = { kind: 'report', v: 1, deployment, env, service, sequence } as const;
    const report: Report = { ...about, ...rest, ...more, timings: {} };
    return isEnding(report.state) || !isNewer(report, own) ? [] : [report];
  });
}
