import type { InstanceRecord } from '../../shared/report.ts';
import { mostFailures, type PolicyOptions } from '../plan/policy.ts';
import type { Strategy } from '../plan/strategy.ts';
import { planWaves, withItsGate } from '../plan/waves.ts';
import { livingQueue } from '../queue/queue-store.ts';
import type { Checks } from '../record/check-schema.ts';
import type { Forgotten } from '../record/deployment-schema.ts';
import { type AlarmsNow, lookAtAlarms } from '../rollout/alarm-watch.ts';
import { baselineAsRead, previousVersion } from '../rollout/baseline.ts';
import { refuseUnverified } from '../rollout/confirmation.ts';
import { type Obstacle, obstacleOf, obstacleOfKey, obstaclesOnTheWay } from '../rollout/obstacles.ts';
import { checkRequired } from '../rollout/requires.ts';
import { commonVersion, isSelective, type Selection, targetsOf } from '../rollout/targets.ts';
import type { Session } from '../session.ts';

export interface PlanOptions extends Selection, Pick<PolicyOptions, 'maxFailures' | 'onFailure'> {
  service: string;
  version: string;
  strategy: Strategy;
  /** The automatic checks; none when left out. */
  checks?: Checks | undefined;
}

export interface PlannedInstance {
  instance: string;
  zone?: string | undefined;
  /** The version that the instance runs now. */
  version: string | null;
}

export interface PlanAnswer {
  type: 'plan';
  env: string;
  service: string;
  version: string;
  /** The version that instances roll back to after a failure. */
  previous: string | null;
  strategy: Strategy;
  maxFailures: number;
  onFailure: 'rollback' | 'stop';
  /** The automatic checks that the deployment must pass. */
  checks?: Checks;
  /** What the alarms are now, and whether a deployment would be refused now. Left out without alarms. */
  alarmsNow?: AlarmsNow;
  waves: { kind: 'canary' | 'batch' | 'all'; instances: PlannedInstance[] }[];
  /** The instances that do not answer, and that the deployment would not wait for. */
  forgotten?: readonly Forgotten[] | undefined;
  /** Why a deployment would be refused now, apart from what is thrown. Left out when nothing stands in its way. */
  obstacles?: readonly Obstacle[];
}

/**
 * `trigger-deploy plan`: shows what a deployment would do, wave by wave. It asks the instances what they run. It locks
 * nothing, changes no record, and switches no instance.
 * @throws what `deploy` throws before it takes the lock.
 */
export async function plan(session: Session, options: PlanOptions): Promise<PlanAnswer> {
  const { service, maxFailures, onFailure, checks } = options;
  const manifest = await session.record.versions.resolve(service, options.version);
  await checkRequired(session, manifest);
  const { version } = manifest;
  const [{ instances, forgotten }, desired, recent, alarmsNow, obstacles] = await Promise.all([
    targetsOf(session, service, options),
    session.record.desired.read(service),
    session.record.deployments.recent(service),
    lookAtAlarms(session, checks),
    obstaclesNow(session, service),
  ]);
  const there = new Map(instances.map((one) => [one.instance, one]));
  const { strategy, waves } = inOrder(instances, options.strategy);
  return {
    ...{ type: 'plan', env: session.env.name, service, version, strategy, onFailure },
    previous: isSelective(options)
      ? commonVersion(instances)
      : previousVersion(baselineAsRead(desired?.value, recent)),
    maxFailures: mostFailures(maxFailures, instances.length),
    ...(checks && { checks }),
    ...(alarmsNow && { alarmsNow }),
    waves: waves.map((wave) => ({
      kind: wave.kind,
      instances: wave.instances.map((instance) => ({
        instance,
        zone: there.get(instance)?.zone,
        version: there.get(instance)?.version ?? null,
      })),
    })),
    ...(forgotten.length > 0 && { forgotten }),
    ...(obstacles.length > 0 && { obstacles }),
  };
}

/** What a deployment would be refused for now. It may be gone, or there may be more, when somebody deploys. */
async function obstaclesNow(session: Session, service: string): Promise<Obstacle[]> {
  const { env, clock, record } = session;
  const about = { env: env.name, clock, warn: () => undefined, ...record };
  const [key, person, pause, lock, queue] = await Promise.all([
    obstacleOfKey(session),
    obstacleOf(async () => refuseUnverified(session)),
    record.pauses.of(service),
    record.locks.look(service),
    livingQueue(about, service),
  ]);
  const wanted = { env: env.name, service, command: 'deploy', now: clock.now() };
  const way = { pause, lock, queue };
  return [...key, ...person, ...obstaclesOnTheWay(wanted, way)];
}

function inOrder(
  instances: readonly InstanceRecord[],
  strategy: Strategy,
): { strategy: Strategy; waves: { kind: 'canary' | 'batch' | 'all'; instances: string[] }[] } {
  if (strategy.name === 'all') {
    return { strategy, waves: [{ kind: 'all', instances: instances.map((one) => one.instance) }] };
  }
  const waves = planWaves(instances, strategy);
  return { strategy: withItsGate(strategy, waves), waves };
}
