import { randomOf } from '../../../support/shared/random.ts';

/** What is replaced in the bucket, by what, when, and during which command. */

const SIGNED = ['fields', 'forged', 'service', 'env', 'truncated', 'huge', 'nothing'] as const;

/** How each object is replaced. `older` and `deployment` are valid documents: an earlier one, one of another deployment. */
const KINDS = {
  desired: [...SIGNED, 'older'],
  lock: ['fields', 'forged', 'service', 'env', 'truncated', 'huge', 'nothing', 'older'],
  queue: ['fields', 'truncated', 'huge', 'nothing'],
  'newest record': [...SIGNED, 'older', 'deployment'],
  'past record': [...SIGNED, 'deployment'],
  'wanted manifest': [...SIGNED, 'deployment'],
  'running manifest': [...SIGNED, 'deployment'],
  index: ['fields', 'service', 'truncated', 'huge', 'nothing'],
  artifact: ['fields', 'deployment', 'truncated', 'huge', 'nothing'],
  pause: [...SIGNED, 'older'],
  'pause of the environment': [...SIGNED, 'older'],
  confirm: ['forged', 'service', 'deployment', 'truncated', 'huge'],
  cancel: ['forged', 'service', 'deployment', 'truncated', 'huge'],
  report: ['fields', 'deployment', 'truncated', 'huge', 'nothing'],
  instance: ['fields', 'truncated', 'huge', 'nothing'],
} as const;

export type ObjectName = keyof typeof KINDS;
export type Kind = (typeof KINDS)[ObjectName][number];
export interface Change {
  object: ObjectName;
  kind: Kind;
}

export const COMMANDS = [
  'deploy',
  'rolling',
  'resume',
  'watch',
  'rollback',
  'rollback --to',
  'promote',
  'restart',
  'status',
  'history',
  'pause',
  'unpause',
] as const;
export type Command = (typeof COMMANDS)[number];

export interface Combination {
  command: Command;
  changes: readonly Change[];
  when: 'before' | 'during';
  /** `during`: after so many requests of the command. */
  after: number;
}

const CHANGES: readonly Change[] = (Object.keys(KINDS) as ObjectName[]).flatMap((object) =>
  KINDS[object].map((kind) => ({ object, kind })),
);
const PAIRS = 400;
const REQUESTS = 25;

/** All combinations, in an order that mixes them and is the same in each run. */
export function combinations(): Combination[] {
  const random = randomOf(4711);
  const after = () => 1 + random.below(REQUESTS);
  const whens = ['before', 'during'] as const;
  const singles = COMMANDS.flatMap((command) =>
    CHANGES.flatMap((change) => whens.map((when) => ({ command, changes: [change], when, after: after() }))),
  );
  const pairs = Array.from({ length: PAIRS }, () => {
    const first = random.pick(CHANGES);
    const second = random.pick(CHANGES.filter(({ object }) => object !== first.object));
    return {
      command: random.pick(COMMANDS),
      changes: [first, second],
      when: random.pick(whens),
      after: after(),
    };
  });
  return [...singles, ...pairs]
    .map((one) => ({ one, place: random.below(2 ** 30) }))
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one);
}

export const titleOf = ({ command, changes, when, after }: Combination): string =>
  `${command}: ${changes.map(({ object, kind }) => `${object} → ${kind}`).join(', ')} ${when}${when === 'during' ? ` (request ${after})` : ''}`;
