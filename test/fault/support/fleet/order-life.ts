import fc from 'fast-check';
import { agentQueueName, keys, newUlid } from '../../../../shared/names.ts';
import type { Report } from '../../../../shared/report.ts';
import type { Ending } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV } from '../../../support/fleet/fleet.ts';
import { currentOf, SERVICE } from './by-hand.ts';
import type { LiveAgent } from './live-agent.ts';
import type { LiveWorld } from './live-world.ts';
import { differences, type Said } from './order-model.ts';

/** Lives of an instance: what it hears, and when its agent is restarted. */

export const DEPLOYMENTS = 6;

export type Event = (Said & { copies: number }) | 'restart' | 'rest' | { again: number };

const said = fc.record({
  n: fc.integer({ min: 1, max: DEPLOYMENTS }),
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant('deploy' as const) },
    { weight: 5, arbitrary: fc.constantFrom('prepare' as const, 'cancel', 'others') },
  ),
  copies: fc.constantFrom(1, 1, 1, 2),
});

export const life: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: said },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
    { weight: 1, arbitrary: fc.constant('rest' as const) },
    { weight: 2, arbitrary: fc.record({ again: fc.nat(100) }) },
  ),
  { minLength: 3, maxLength: 14, size: 'max' },
);

/** Lives it on an instance of its own, replays everything after one more restart, and says what is wrong. */
export async function live(world: LiveWorld, instance: string, events: readonly Event[]): Promise<string[]> {
  const { cloud } = world;
  const queue = agentQueueName(ENV, instance);
  const agent = await world.openAgent(instance);
  const meanings = new Map<string, Said>();
  const say = announcer(world, meanings);
  const texts: string[] = [];
  const send = (text: string) => {
    texts.push(text);
    cloud.sendRaw(queue, text);
  };
  agent.start();
  await cloud.until((one) => one.queue === queue && one.operation === 'ReceiveMessage');
  for (const event of events) {
    if (event === 'restart') await restart(agent);
    else if (event === 'rest') await agent.settled();
    else if ('again' in event) {
      const again = texts[event.again % Math.max(1, texts.length)];
      if (again !== undefined) send(again);
    } else for (let copy = 0; copy < event.copies; copy += 1) send(say(event));
  }
  await agent.settled();
  const once = verdict(agent);
  await restart(agent);
  for (const text of [...texts].reverse()) cloud.sendRaw(queue, text);
  await agent.settled();
  const wrong = [...(await once), ...(await verdict(agent))];
  await agent.stop();
  return wrong;

  async function verdict({ heard, endings, state, dir }: LiveAgent): Promise<string[]> {
    const known = heard.flatMap((text) => meanings.get(text) ?? []);
    const found = new Map<number, Ending[]>();
    const wrong: string[] = [];
    for (const [deployment, ways] of endings) {
      const reports = [...ways].map((way) => JSON.parse(way) as Report);
      found.set(
        reports[0]?.sequence ?? 0,
        reports.map((report) => report.state as Ending),
      );
      const stored = cloud.object(BUCKET, keys.report(ENV, SERVICE, deployment, userIdOf(instance)));
      const recorded = stored && (JSON.parse(stored.body.toString('utf8')) as Report).state;
      if (recorded !== reports[0]?.state) wrong.push(`the record says ${recorded} of ${reports[0]?.state}`);
    }
    const current = await currentOf({ dir });
    return [...wrong, ...differences(known, { endings: found, state: state(), current })];
  }
}

async function restart(agent: LiveAgent): Promise<void> {
  await agent.stop();
  agent.start();
}

/** Signs what is said, each thing once: said again, it is the same text. */
function announcer(world: LiveWorld, meanings: Map<string, Said>): (said: Said) => string {
  const ids = Array.from({ length: DEPLOYMENTS + 1 }, () => newUlid(Date.now()));
  const texts = new Map<string, string>();
  return ({ n, kind }) => {
    const known = texts.get(`${kind} ${n}`);
    if (known !== undefined) return known;
    const aim = kind === 'others' ? { kind: 'deploy', targets: ['i-elsewhere'] } : { kind };
    const text = world.sign(world.change(n, { deployment: ids[n], ...aim }));
    texts.set(`${kind} ${n}`, text);
    meanings.set(text, { n, kind });
    return text;
  };
}
