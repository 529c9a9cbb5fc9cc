import { expect, test } from 'vitest';
import { policyOf, ROLES } from '../../../../publisher/setup/policies.ts';
import { OWN_USERID } from '../../../../publisher/setup/statements.ts';
import { agentQueueName, keys, replyQueueName, topicName } from '../../../../shared/names.ts';
import { COMMANDS } from '../../../support/iam/commands.ts';
import { EVERYTHING } from '../../../support/iam/places.ts';
import { sentCommands } from '../../../support/iam/sent-commands.ts';

/** `setup` is `init`, and `gc` is `gc`: parts of the publisher that other people run. */
const PROGRAMS = ['agent', 'publisher', 'setup', 'gc'] as const;
const PARTS: Partial<Record<(typeof PROGRAMS)[number], string>> = {
  setup: 'publisher/setup',
  gc: 'publisher/cleanup',
};
const isOf = (part: string | undefined, file: string) => part !== undefined && file.startsWith(`${part}/`);
/** `doctor` looks at what `init` sets, so the publisher sends its reads, too. */
const sent = (program: (typeof PROGRAMS)[number]) => {
  const part = PARTS[program];
  if (part !== undefined) return sentCommands(part);
  return sentCommands(program).filter(
    ({ file, command }) => !isOf(PARTS.gc, file) && (!isOf(PARTS.setup, file) || /^(Get|Head)/.test(command)),
  );
};
const granted = (role: (typeof ROLES)[number]) =>
  policyOf(role, EVERYTHING).Statement.flatMap(({ Action }) => Action);

test.each(PROGRAMS)(
  'every request that the source of the %s sends is in the table of commands',
  (program) => {
    const found = sent(program);
    expect(found.length).toBeGreaterThan(8);
    const missing = found.filter(({ client, command }) => COMMANDS[program][client]?.[command] === undefined);
    expect(missing).toEqual([]);
  },
);

test('requests that both programs share are in the tables of both', () => {
  const missing = sentCommands('shared').filter(({ client, command }) =>
    PROGRAMS.some((program) => COMMANDS[program][client]?.[command] === undefined),
  );
  expect(missing).toEqual([]);
});

test.each(PROGRAMS)('the table of the %s names no request that its source does not send', (program) => {
  const all = [...sent(program), ...sentCommands('shared')];
  const named = Object.entries(COMMANDS[program]).flatMap(([client, commands]) =>
    Object.keys(commands).map((command) => `${client} ${command}`),
  );
  expect(named.toSorted()).toEqual(
    [...new Set(all.map(({ client, command }) => `${client} ${command}`))].toSorted(),
  );
});

test.each(PROGRAMS.filter((one) => one !== 'gc'))(
  'the policy of the %s grants the actions of its requests, and no other',
  (program) => {
    const needed = Object.values(COMMANDS[program]).flatMap((commands) => Object.values(commands).flat());
    expect([...new Set(granted(program))].toSorted()).toEqual([...new Set(needed)].toSorted());
  },
);

test('the policy of gc grants the actions of its own requests, and beside them only some that the publisher has', () => {
  const own = new Set(Object.values(COMMANDS.gc).flatMap((commands) => Object.values(commands).flat()));
  const all = new Set(granted('gc'));
  expect([...own].filter((action) => !all.has(action))).toEqual([]);
  const publisher = new Set(granted('publisher'));
  expect([...all].filter((action) => !own.has(action) && !publisher.has(action))).toEqual([]);
  const deletable = policyOf('gc', EVERYTHING).Statement.find(({ Sid }) => Sid === 'Delete')?.Resource;
  for (const key of [keys.desired('dev', '*'), keys.lock('dev', '*'), keys.pause('dev')])
    expect(deletable?.some((one) => one.endsWith(key))).toBe(false);
});

test('no other role may delete an object, and those who only look may write nothing', () => {
  const all = ROLES.filter((role) => role !== 'gc').flatMap(granted);
  expect(all.filter((action) => /Delete(Object|Bucket|Topic)/.test(action))).toEqual([]);
  for (const role of ['reader', 'console'] as const) {
    expect([...new Set(granted(role))].toSorted()).toEqual(['kms:Decrypt', 's3:GetObject', 's3:ListBucket']);
  }
});

test('the names in a policy are those that the programs use', () => {
  const text = JSON.stringify(ROLES.map((role) => policyOf(role, EVERYTHING)));
  const { env, bucket } = EVERYTHING;
  for (const name of [
    topicName(env),
    agentQueueName(env, 'i-*'),
    replyQueueName(env, '*'),
    `${bucket}/${keys.instance(env, '*', OWN_USERID)}`,
    `${bucket}/${keys.lock(env, '*')}`,
  ]) {
    expect(text).toContain(name);
  }
});

test.each([
  ['aws', 'eu-west-1'],
  ['aws-cn', 'cn-north-1'],
  ['aws-us-gov', 'us-gov-west-1'],
])('in the partition %s every ARN is one of that partition', (partition, region) => {
  const place = { env: 'dev', bucket: 'acme', partition, region, account: '123456789012' };
  for (const role of ROLES) {
    const resources = policyOf(role, place).Statement.flatMap(({ Resource }) => Resource);
    // Some actions know no resources.
    const named = resources.filter((one) => one !== '*');
    expect(named.filter((one) => !one.startsWith(`arn:${partition}:`))).toEqual([]);
  }
});

test('a feature that is not used is granted nothing', () => {
  const { features: _, ...bare } = EVERYTHING;
  const services = new Set(
    ROLES.flatMap((role) => policyOf(role, bare).Statement.flatMap(({ Action }) => Action)).map(
      (action) => action.split(':')[0],
    ),
  );
  expect([...services].toSorted()).toEqual(['s3', 'sns', 'sqs']);
});

test('every policy fits into what IAM takes, and the name of each statement is unique', () => {
  for (const role of ROLES) {
    const policy = policyOf(role, EVERYTHING);
    // IAM User Guide, "IAM and AWS STS quotas": a managed policy has 6,144 characters without white space.
    expect(JSON.stringify(policy).length).toBeLessThan(6144);
    const sids = policy.Statement.map(({ Sid }) => Sid);
    expect(new Set(sids).size).toBe(sids.length);
    expect(sids.filter((sid) => !/^[A-Za-z0-9]+$/.test(sid))).toEqual([]);
  }
});
