import type { InstanceRecord } from '../../../shared/report.ts';
import { rollCall } from '../../messaging/roll-call.ts';
import { mapLimit } from '../../record/map-limit.ts';
import type { Session } from '../../session.ts';
import type { RollCallView } from '../api.ts';
import type { LastRollCall } from './cell.ts';

/** How long the roll call waits for answers, and how much longer for each instance, ms: as `status` does. */
const WAIT = { ms: 1000, eachMs: 0.5 };
const READS = 8;

/** A roll call of all instances that the record of the environment knows. @throws as `rollCall`. */
export async function askAll(session: Session): Promise<{ call: LastRollCall; view: RollCallView }> {
  const { record, clock, env, who } = session;
  const began = clock.monotonic();
  const services = await record.deployments.services();
  const listed = await mapLimit(services, READS, (service) => record.deployments.instances(service));
  const asked = new Set(listed.flat().map(({ instance }) => instance));
  const at = clock.now();
  const found = await rollCall(session, { known: [...asked], waitMs: WAIT.ms + asked.size * WAIT.eachMs });
  const answers = new Map<string, InstanceRecord[]>();
  for (const one of found.flatMap(({ services }) => services)) {
    answers.set(one.service, [...(answers.get(one.service) ?? []), one]);
  }
  const answered = new Set(found.map(({ instance }) => instance));
  return {
    call: { at, asked, answers, answered },
    view: {
      ...{ env: env.name, at, by: who, asked: asked.size, answered: answered.size },
      tookMs: Math.round(clock.monotonic() - began),
    },
  };
}
