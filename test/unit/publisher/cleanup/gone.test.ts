import { expect, test } from 'vitest';
import { type InstanceFacts, whyGone } from '../../../../publisher/cleanup/gone.ts';
import { isEc2Id } from '../../../../publisher/fleet/ec2.ts';

const HOUR = 3_600_000;
const NOW = 1_000_000 * HOUR;
const ID = 'i-0000000a';
const facts = (
  change: Partial<Record<'heartbeat' | 'record' | 'queueMade', number>> & Partial<InstanceFacts> = {},
) => {
  const ago = (hours: number | undefined) => (hours === undefined ? undefined : NOW - hours * HOUR);
  const { heartbeat, record, queueMade, ...more } = change;
  return {
    ...{ answered: false, hasLeft: false, ...more },
    ...{ heartbeat: ago(heartbeat), record: ago(record), queueMade: ago(queueMade) },
  };
};
const states = (state?: string) => ({
  states: new Map(state === undefined ? [] : [[ID, state]]),
  knowsFleet: true,
});
const isGone = (...[one, word]: [ReturnType<typeof facts>, ReturnType<typeof states>?]) =>
  whyGone(ID, one, word, { now: NOW, isId: isEc2Id })?.why;

test.each<[string, ReturnType<typeof facts>, ReturnType<typeof states> | undefined, RegExp | undefined]>([
  [
    'an instance that answers is there, whatever EC2 says',
    facts({ answered: true, heartbeat: 99 }),
    states('terminated'),
    undefined,
  ],
  ['EC2 calls it terminated', facts({ heartbeat: 0 }), states('terminated'), /terminated/],
  ['EC2 does not know it', facts({ heartbeat: 1 }), states(), /does not know it/],
  ['EC2 does not know it yet', facts({ queueMade: 0.1, heartbeat: 0.1 }), states(), undefined],
  ['EC2 calls it running', facts({ heartbeat: 999 }), states('running'), undefined],
  ['EC2 calls it stopped', facts({ heartbeat: 999 }), states('stopped'), undefined],
  ['it left an hour ago', facts({ record: 1, hasLeft: true, heartbeat: 1.1 }), undefined, /left/],
  ['it left a moment ago', facts({ record: 0.5, hasLeft: true, heartbeat: 2 }), undefined, undefined],
  [
    'it left, and its agent still beats',
    facts({ record: 5, hasLeft: true, heartbeat: 0.2 }),
    undefined,
    undefined,
  ],
  ['it was silent for a day', facts({ heartbeat: 24, record: 99 }), undefined, /a day/],
  ['it was silent for less than a day', facts({ heartbeat: 23.9, record: 99 }), undefined, undefined],
  ['its record was written since', facts({ heartbeat: 99, record: 1 }), undefined, undefined],
  ['an agent without heartbeats, a week', facts({ record: 7 * 24 }), undefined, /a week/],
  ['an agent without heartbeats, six days', facts({ record: 6 * 24 }), undefined, undefined],
  ['only a queue, of a minute ago', facts({ queueMade: 0.02 }), undefined, undefined],
  [
    'only a queue, of a minute ago, and EC2 does not know it',
    facts({ queueMade: 0.02 }),
    states(),
    undefined,
  ],
  [
    'only a queue, of an hour ago, and EC2 does not know it',
    facts({ queueMade: 1 }),
    states(),
    /does not know/,
  ],
])('%s', (_what, one, word, why) => {
  const said = isGone(one, word);
  if (why === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(why);
});
