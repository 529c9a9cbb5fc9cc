import type { InstanceRecord } from '../../shared/report.ts';
import { mostFailures, type Strategy } from '../plan/strategy.ts';
import { planWaves, type Size, withItsGate } from '../plan/waves.ts';
import { versionToReturnTo } from '../rollout/baseline.ts';
import { checkRequired } from '../rollout/requires.ts';
import { commonVersion, isSelective, membersOf, type Selection } from '../rollout/targets.ts';
import type { Session } from '../session.ts';

export interface PlanOptions extends Selection {
  service: string;
  version: string;
  strategy: Strategy;
  maxFailures: Size | 0;
  onFailure: 'rollback' | 'stop';
}

export interface PlannedInstance {
  instance: string;
  zone?: string | undefined;
  /** What runs there now. */
  version: string | null;
}

export interface PlanAnswer {
  type: 'plan';
  env: string;
  service: string;
  version: string;
  /** What a failure would go back to. */
  previous: string | null;
  strategy: Strategy;
  maxFailures: number;
  onFailure: 'rollback' | 'stop';
  waves: { kind: 'canary' | 'batch' | 'all'; instances: PlannedInstance[] }[];
}

/**
 * What a deployment would do, wave by wave; nothing is locked, written or switched. Instances are asked who is there.
 * @throws as `deploy`, up to the lock.
 */
export async function plan(session: Session, options: PlanOptions): Promise<PlanAnswer> {
  const { service, maxFailures, onFailure } = options;
  const manifest = await session.record.versions.resolve(service, options.version);
  await checkRequired(session, manifest);
  const { version } = manifest;
  const [members, desired, last] = await Promise.all([
    membersOf(session, service, options),
    session.record.desired.read(service),
    session.record.deployments.newest(service),
  ]);
  const there = new Map(members.map((one) => [one.instance, one]));
  const { strategy, waves } = staged(members, options.strategy);
  return {
    ...{ type: 'plan', env: session.env.name, service, version, strategy, onFailure },
    previous: isSelective(options)
      ? commonVersion(members)
      : versionToReturnTo({ desired: desired?.value, last: last?.value }),
    maxFailures: mostFailures(maxFailures, members.length),
    waves: waves.map(({ kind, instances }) => ({
      kind,
      instances: instances.map((instance) => ({
        instance,
        zone: there.get(instance)?.zone,
        version: there.get(instance)?.version ?? null,
      })),
    })),
  };
}

function staged(
  members: readonly InstanceRecord[],
  strategy: Strategy,
): { strategy: Strategy; waves: { kind: 'canary' | 'batch' | 'all'; instances: string[] }[] } {
  if (strategy.name === 'all') {
    return { strategy, waves: [{ kind: 'all', instances: members.map((one) => one.instance) }] };
  }
  const waves = planWaves(members, strategy);
  return { strategy: withItsGate(strategy, waves), waves };
}
