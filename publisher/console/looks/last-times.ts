import { keys } from '../../../shared/names.ts';
import { type Report, report } from '../../../shared/report.ts';
import { STEPS } from '../../../shared/states.ts';
import { mapLimit } from '../../record/map-limit.ts';
import type { Session } from '../../session.ts';

/** The step times of an earlier deployment, to compare with. */

/** So many instances are enough for a median. */
const INSTANCES = 32;

/**
 * The median time of each step on the instances of the last deployment of the service before `deployment` that succeeded,
 * ms; undefined when there is none. `current`: the deployment that the desired state names. Of many instances only some
 * are read. @throws AWS_*.
 */
export async function lastTimes(
  { env, record }: Session,
  { service, deployment, current }: { service: string; deployment: string; current: string | undefined },
): Promise<Record<string, number> | undefined> {
  const before =
    current !== undefined && current < deployment
      ? current
      : (
          await record.deployments.history(service, 1, {
            wanted: (one) => one.deployment < deployment && one.status === 'succeeded' && !one.local,
          })
        )[0]?.deployment;
  if (before === undefined) return undefined;
  const written = await record.deployments.written(keys.reports(env.name, service, before));
  const found = await mapLimit(spread(written), INSTANCES, async ({ key, instance }) => {
    const stored = await record.objects.readJson(key, report).catch(() => undefined);
    const isOwn = stored?.value.instance === instance && stored.value.deployment === before;
    return isOwn && stored.value.state === 'succeeded' ? stored.value : undefined;
  });
  return mediansOf(found.filter((one) => one !== undefined));
}

/** Some of them, from everywhere in the list. */
function spread<T>(all: readonly T[]): T[] {
  const step = Math.max(1, all.length / INSTANCES);
  return all.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step)).slice(0, INSTANCES);
}

/** The median of each step over the instances that had it; undefined when none had any. Pure. */
function mediansOf(reports: readonly Pick<Report, 'timings'>[]): Record<string, number> | undefined {
  const medians = STEPS.flatMap((step) => {
    const times = reports.flatMap(({ timings }) => timings[step] ?? []).sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)];
    return median === undefined ? [] : [[step, median] as const];
  });
  return medians.length > 0 ? Object.fromEntries(medians) : undefined;
}
