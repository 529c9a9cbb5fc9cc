import { expect, test } from 'vitest';
import type { AnyPolicy, AnyStatement, Context } from '../../../support/iam/document.ts';
import { type Attached, evaluate, type IamRequest } from '../../../support/iam/evaluate.ts';

/** The examples of AWS's pages on how policies are evaluated; each test names its page. */

const policy = (...Statement: AnyStatement[]): AnyPolicy => ({ Version: '2012-10-17', Statement });
const allow = (more: Partial<AnyStatement>): AnyStatement => ({
  Effect: 'Allow',
  Action: '*',
  Resource: '*',
  ...more,
});
const deny = (more: Partial<AnyStatement>): AnyStatement => ({ ...allow(more), Effect: 'Deny' });

function may(action: string, resource: string, attached: Attached, more: Partial<IamRequest> = {}): string {
  const decision = evaluate({ action, resource, context: {}, ...more }, attached);
  return decision.isAllowed ? 'allowed' : decision.why;
}
const byRole = (...statements: AnyStatement[]): Attached => ({ identity: [policy(...statements)] });

const EXPLICIT = 'an explicit deny';
const IMPLICIT = 'no policy allows the action';

/** A policy variable. */
const v = (key: string) => `\${${key}}`;

test('"Policy evaluation logic": what no statement allows is denied', () => {
  expect(may('s3:GetObject', 'arn:aws:s3:::carlossalzbucket/a', {})).toBe(IMPLICIT);
  expect(may('s3:PutObject', 'arn:aws:s3:::b/a', byRole(allow({ Action: 's3:GetObject' })))).toBe(IMPLICIT);
});

test('"The difference between explicit and implicit denies": a Deny wins over every Allow', () => {
  const statements = byRole(
    allow({ Action: 's3:*' }),
    deny({ Action: 's3:*', Resource: ['arn:aws:s3:::secret', 'arn:aws:s3:::secret/*'] }),
  );
  expect(may('s3:GetObject', 'arn:aws:s3:::open/a', statements)).toBe('allowed');
  expect(may('s3:GetObject', 'arn:aws:s3:::secret/a', statements)).toBe(EXPLICIT);
  expect(may('sqs:SendMessage', 'arn:aws:sqs:eu-west-1:123456789012:q', statements)).toBe(IMPLICIT);
});

test('"Policy evaluation logic", the example of a user and a bucket: identity and resource policies are joined', () => {
  const bucket = 'arn:aws:s3:::examplebucket/*';
  const carlos = { principal: { AWS: 'arn:aws:iam::111122223333:user/carlossalazar' } };
  const resource = policy(
    allow({ Principal: { AWS: carlos.principal.AWS }, Action: 's3:PutObject', Resource: bucket }),
  );
  const identity = [policy(allow({ Action: 's3:GetObject', Resource: bucket }))];
  const at = 'arn:aws:s3:::examplebucket/key';
  expect(may('s3:PutObject', at, { identity, resource }, carlos)).toBe('allowed');
  expect(may('s3:GetObject', at, { identity, resource }, carlos)).toBe('allowed');
  expect(may('s3:DeleteObject', at, { identity, resource }, carlos)).toBe(IMPLICIT);
  const refusing = policy(deny({ Principal: '*', Action: 's3:GetObject', Resource: bucket }));
  expect(may('s3:GetObject', at, { identity, resource: refusing }, carlos)).toBe(EXPLICIT);
});

test('"AWS JSON policy elements: Principal": the ARN of the account allows nothing by itself, and denies all of its roles', () => {
  const root = { AWS: 'arn:aws:iam::111122223333:root' };
  const asked = { principal: { AWS: 'arn:aws:iam::111122223333:role/agent' } };
  expect(may('sqs:SendMessage', 'q', { resource: policy(allow({ Principal: root })) }, asked)).toBe(IMPLICIT);
  const identity = [policy(allow({}))];
  const resource = policy(deny({ Principal: root }));
  expect(may('sqs:SendMessage', 'q', { identity, resource }, asked)).toBe(EXPLICIT);
  const other = { principal: { AWS: 'arn:aws:iam::444455556666:role/agent' } };
  expect(may('sqs:SendMessage', 'q', { identity, resource }, other)).toBe('allowed');
});

test('"AWS JSON policy elements: Principal": a service is meant only by its own name', () => {
  const resource = policy(allow({ Principal: { Service: 'sns.amazonaws.com' }, Action: 'sqs:SendMessage' }));
  const sns = { principal: { Service: 'sns.amazonaws.com' } };
  const s3 = { principal: { Service: 's3.amazonaws.com' } };
  expect(may('sqs:SendMessage', 'q', { resource }, sns)).toBe('allowed');
  expect(may('sqs:SendMessage', 'q', { resource }, s3)).toBe(IMPLICIT);
  expect(may('sqs:SendMessage', 'q', { resource })).toBe(IMPLICIT);
});

test('"IAM JSON policy elements: Action": no case, and wildcards', () => {
  const list = byRole(allow({ Action: ['iam:*AccessKey*', 'S3:list*'] }));
  expect(may('iam:CreateAccessKey', '*', list)).toBe('allowed');
  expect(may('s3:ListBucket', 'arn:aws:s3:::b', list)).toBe('allowed');
  expect(may('iam:CreateUser', '*', list)).toBe(IMPLICIT);
});

test('"IAM JSON policy elements: NotAction": an Allow of all but some, and a Deny of all but some', () => {
  const allButDeletion = byRole({
    Effect: 'Allow',
    NotAction: 's3:DeleteBucket',
    Resource: ['arn:aws:s3:::*', 'arn:aws:s3:::*/*'],
  });
  expect(may('s3:GetObject', 'arn:aws:s3:::b/k', allButDeletion)).toBe('allowed');
  expect(may('s3:DeleteBucket', 'arn:aws:s3:::b', allButDeletion)).toBe(IMPLICIT);
  const only = byRole(allow({}), { Effect: 'Deny', NotAction: 'iam:*', Resource: '*' });
  expect(may('iam:ListUsers', '*', only)).toBe('allowed');
  expect(may('s3:GetObject', 'arn:aws:s3:::b/k', only)).toBe(EXPLICIT);
});

test('"IAM JSON policy elements: NotResource": the Deny is about everything else', () => {
  const folder = ['arn:aws:s3:::HRBucket/Payroll', 'arn:aws:s3:::HRBucket/Payroll/*'];
  const statements = byRole(allow({ Action: 's3:*' }), {
    Effect: 'Deny',
    Action: 's3:*',
    NotResource: folder,
  });
  expect(may('s3:GetObject', 'arn:aws:s3:::HRBucket/Payroll/1', statements)).toBe('allowed');
  expect(may('s3:GetObject', 'arn:aws:s3:::HRBucket/Other/1', statements)).toBe(EXPLICIT);
});

test('"IAM JSON policy elements: Resource": wildcards, within the parts of the ARN, with case', () => {
  const one = (Resource: string) => byRole(allow({ Action: 'sqs:*', Resource }));
  const queue = 'arn:aws:sqs:us-east-1:123456789012:trigger-deploy-dev-i-0a';
  expect(may('sqs:SendMessage', queue, one('arn:aws:sqs:*:123456789012:trigger-deploy-dev-i-*'))).toBe(
    'allowed',
  );
  expect(may('sqs:SendMessage', queue, one('arn:aws:sqs:*:123456789012:trigger-deploy-dev-i-0?'))).toBe(
    'allowed',
  );
  expect(may('sqs:SendMessage', queue, one('arn:aws:sqs:*:trigger-deploy-dev-i-0a'))).toBe(IMPLICIT);
  expect(may('sqs:SendMessage', queue, one('arn:aws:sqs:*:*:Trigger-Deploy-dev-i-0a'))).toBe(IMPLICIT);
  const key = 'arn:aws:s3:::amzn-s3-demo-bucket/a/b/test/c';
  expect(
    may('s3:GetObject', key, byRole(allow({ Resource: 'arn:aws:s3:::amzn-s3-demo-bucket/*/test/*' }))),
  ).toBe('allowed');
  // "The * wildcard … can match the characters of several folders": a `/` is a character like any other.
  expect(
    may(
      's3:GetObject',
      'arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/3/4',
      byRole(allow({ Resource: 'arn:aws:s3:::amzn-s3-demo-bucket/*/test/*' })),
    ),
  ).toBe('allowed');
});

const HOME = `arn:aws:s3:::amzn-s3-demo-bucket/home/${v('aws:username')}/*`;

test('"IAM policy elements: Variables and tags": the variable is the caller\'s, and a request without it matches nothing', () => {
  const home = byRole(allow({ Action: 's3:*', Resource: HOME }));
  const at = (name: string, context: Context) =>
    may('s3:GetObject', `arn:aws:s3:::amzn-s3-demo-bucket/home/${name}/f`, home, { context });
  expect(at('anaya', { 'aws:username': 'anaya' })).toBe('allowed');
  expect(at('anaya', { 'AWS:UserName': 'anaya' })).toBe('allowed');
  expect(at('anaya', { 'aws:username': 'bob' })).toBe(IMPLICIT);
  expect(at('anaya', {})).toBe(IMPLICIT);
  expect(at('*', { 'aws:username': '*' })).toBe('allowed');
  expect(at('anaya', { 'aws:username': '*' })).toBe(IMPLICIT);
});

test('"Variables and tags": a default, the characters themselves, and no variables before version 2012-10-17', () => {
  const tagged = byRole(
    allow({ Resource: `arn:aws:s3:::b/${v("aws:PrincipalTag/team, 'company-wide'")}/*` }),
  );
  expect(may('s3:GetObject', 'arn:aws:s3:::b/company-wide/a', tagged)).toBe('allowed');
  const context = { 'aws:PrincipalTag/team': 'yellow' };
  expect(may('s3:GetObject', 'arn:aws:s3:::b/yellow/a', tagged, { context })).toBe('allowed');
  expect(may('s3:GetObject', 'arn:aws:s3:::b/company-wide/a', tagged, { context })).toBe(IMPLICIT);
  const star = byRole(allow({ Resource: `arn:aws:s3:::b/${v('*')}` }));
  expect(may('s3:GetObject', 'arn:aws:s3:::b/*', star)).toBe('allowed');
  expect(may('s3:GetObject', 'arn:aws:s3:::b/a', star)).toBe(IMPLICIT);
  const old = { identity: [{ Version: '2008-10-17', Statement: allow({ Resource: HOME }) }] };
  const anaya = { context: { 'aws:username': 'anaya' } };
  expect(may('s3:GetObject', 'arn:aws:s3:::amzn-s3-demo-bucket/home/anaya/f', old, anaya)).toBe(IMPLICIT);
});

test('a statement that this evaluator cannot judge is an error, and no answer', () => {
  expect(() => may('s3:GetObject', '*', byRole({ Effect: 'allow', Action: '*', Resource: '*' }))).toThrow(
    'Effect',
  );
  expect(() => may('s3:GetObject', '*', byRole({ Effect: 'Allow', Resource: '*' }))).toThrow('NotAction');
  expect(() => may('s3:GetObject', '*', byRole(allow({ NotResource: '*' })))).toThrow('NotResource');
  const other = { NotPrincipal: { AWS: '*' } } as Partial<AnyStatement>;
  expect(() => may('s3:GetObject', '*', { resource: policy(allow(other)) })).toThrow('NotPrincipal');
});
