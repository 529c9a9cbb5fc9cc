import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { policyOf, ROLES } from '../../../../publisher/setup/policies.ts';
import type { Statement } from '../../../../publisher/setup/statements.ts';
import { EVERYTHING } from '../../../support/iam/places.ts';

/** Every name in the policies is one that AWS publishes (copy-authorization.ts makes the copy). */

interface Authorization {
  readonly source: string;
  readonly date: string;
  readonly actions: Readonly<
    Record<string, { resourceTypes: { name: string; required: boolean }[]; conditionKeys: string[] }>
  >;
  readonly resourceTypes: Readonly<Record<string, Record<string, { arn: string; conditionKeys: string[] }>>>;
}
const aws = JSON.parse(
  readFileSync(new URL('../../../support/iam/authorization.json', import.meta.url), 'utf8'),
) as Authorization;

/** IAM User Guide, "AWS global condition context keys": in the context of every request that has such a thing. */
const GLOBAL = ['aws:userid', 'aws:SecureTransport', 'aws:SourceArn', 'aws:SourceAccount'];

/** `aws:RequestTag/${TagKey}`, `s3:ExistingObjectTag/<key>`: the part after the slash is any text. */
const isKey = (published: string, key: string) => {
  const [stem = ''] = published.split(/\$\{|</);
  return stem === published
    ? published.toLowerCase() === key.toLowerCase()
    : key.toLowerCase().startsWith(stem.toLowerCase());
};

/**
 * CloudWatch API Reference, DescribeAlarms: composite alarms are only returned with a "permission that is scoped to `*`".
 */
const WIDER = ['cloudwatch:DescribeAlarms'];

function mistakesOf(statement: Statement): string[] {
  return statement.Action.flatMap((action) => {
    const published = aws.actions[action];
    if (published === undefined) return [`${action}: no such action`];
    const types = published.resourceTypes.flatMap(({ name }) => {
      const type = aws.resourceTypes[action.split(':')[0] ?? '']?.[name];
      return type === undefined ? [] : [type];
    });
    const resources = statement.Resource.filter((resource) =>
      types.length === 0 || WIDER.includes(action)
        ? resource !== '*'
        : !types.some(({ arn }) => isOfType(arn, resource)),
    ).map((resource) => `${action}: ${resource} is none of its resources`);
    const keys = [
      ...published.conditionKeys,
      ...types.flatMap(({ conditionKeys }) => conditionKeys),
      ...GLOBAL,
    ];
    const conditions = Object.values(statement.Condition ?? {})
      .flatMap((one) => Object.keys(one))
      .filter((key) => !keys.some((known) => isKey(known, key)))
      .map((key) => `${action}: has no condition key ${key}`);
    return [...resources, ...conditions];
  });
}

/** `arn:${Partition}:sqs:${Region}:${Account}:${QueueName}`: a variable is any text, in the last part with slashes. */
function isOfType(form: string, arn: string): boolean {
  const parts = form.split(':');
  const found = arn.split(':');
  const [head, last] = [parts.slice(0, 5), parts.slice(5).join(':')];
  const pattern = (text: string) =>
    new RegExp(
      `^${text
        .split(/\$\{\w+\}/)
        .map((one) => one.replace(/[.*+?^$()|[\]\\]/g, '\\$&'))
        .join('.+')}$`,
    );
  return (
    head.every((part, i) => part === found[i] || (part.startsWith('${') && found[i] !== undefined)) &&
    pattern(last).test(found.slice(5).join(':'))
  );
}

test('the copy says where it is from, and of when', () => {
  expect(aws.source).toContain('Service Authorization Reference');
  expect(aws.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
});

describe.each(ROLES)('the policy of the role %s', (role) => {
  test.each(policyOf(role, EVERYTHING).Statement)(
    '$Sid: its actions, resources and conditions exist',
    (statement) => {
      expect(mistakesOf(statement)).toEqual([]);
    },
  );
});

test('a wrong action, resource or condition is found', () => {
  const queue = 'arn:aws:sqs:eu-west-1:123456789012:q';
  const of = (more: Partial<Statement>): Statement => ({
    ...{ Sid: 'X', Effect: 'Allow', Action: ['sqs:SendMessage'], Resource: [queue] },
    ...more,
  });
  expect(mistakesOf(of({}))).toEqual([]);
  expect(mistakesOf(of({ Action: ['sqs:SendMessageBatch'] }))).toEqual([
    'sqs:SendMessageBatch: no such action',
  ]);
  expect(mistakesOf(of({ Resource: ['arn:aws:sns:eu-west-1:123456789012:t'] }))).toHaveLength(1);
  expect(mistakesOf(of({ Resource: ['*'] }))).toHaveLength(1);
  expect(mistakesOf(of({ Action: ['ec2:DescribeInstances'] }))).toHaveLength(1);
  expect(mistakesOf(of({ Condition: { StringEquals: { 'sqs:Queue': 'q' } } }))).toHaveLength(1);
});
