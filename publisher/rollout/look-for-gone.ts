import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { Forgetting } from '../fleet/forgetting.ts';
import type { DeploymentRecord, Forgotten } from '../record/deployment-schema.ts';
import type { Output } from './driving.ts';

/**
 * Looks which instances of a deployment are gone: those of `targets` that have not ended. Emits those that are not waited
 * for when they have changed. Never throws.
 */
export async function lookForGone(
  output: Output,
  forgetting: Forgetting,
  {
    deployment,
    targets,
    reports,
  }: Pick<DeploymentRecord, 'deployment'> & {
    targets: readonly string[];
    reports: ReadonlyMap<string, Report>;
  },
): Promise<void> {
  const hasEnded = (instance: string) => {
    const report = reports.get(instance);
    return report !== undefined && isEnding(report.state);
  };
  const before = namesOf(forgetting.found);
  const silent = targets.filter((instance) => !hasEnded(instance));
  const instances = await forgetting.look({ silent, answered: [...reports.keys()] });
  if (namesOf(instances) === before || instances.length === 0) return;
  output.emit({ type: 'forgotten', at: output.clock.now(), deployment, instances });
}

const namesOf = (all: readonly Forgotten[]) =>
  all
    .map(({ instance }) => instance)
    .sort()
    .join();
