import { expect, test } from 'vitest';
import { meetsConditions } from '../../../support/iam/conditions.ts';
import type { AnyStatement, Context } from '../../../support/iam/document.ts';

/** The examples of the IAM User Guide on conditions; each test names its page. */

type Condition = NonNullable<AnyStatement['Condition']>;
const meets = (Condition: Condition, context: Context) =>
  meetsConditions({ Effect: 'Allow', Condition }, { context, hasVariables: true });

/** A policy variable. */
const v = (key: string) => `\${${key}}`;

test('"Condition operators", StringEquals and StringLike: case counts, wildcards only with Like', () => {
  const job = (operator: string, value: string) => ({
    [operator]: { 'aws:PrincipalTag/job-category': value },
  });
  const asked = { 'aws:PrincipalTag/job-category': 'iamuser-admin' };
  expect(meets(job('StringEquals', 'iamuser-admin'), asked)).toBe(true);
  expect(meets(job('StringEquals', 'IamUser-admin'), asked)).toBe(false);
  expect(meets(job('StringEqualsIgnoreCase', 'IamUser-admin'), asked)).toBe(true);
  expect(meets(job('StringEquals', 'iamuser-*'), asked)).toBe(false);
  expect(meets(job('StringLike', 'iamuser-*'), asked)).toBe(true);
  expect(meets(job('StringNotLike', 'iamuser-*'), asked)).toBe(false);
  expect(meets(job('StringNotEquals', 'other'), asked)).toBe(true);
});

test('"Condition operators": a request without the key meets no positive condition, and each negated one', () => {
  for (const operator of ['StringEquals', 'StringLike', 'ArnLike', 'Bool', 'NumericLessThan']) {
    expect(meets({ [operator]: { 'aws:x': '1' } }, {}), operator).toBe(false);
  }
  for (const operator of ['StringNotEquals', 'StringNotLike', 'ArnNotLike', 'ArnNotEquals']) {
    expect(meets({ [operator]: { 'aws:x': '1' } }, {}), operator).toBe(true);
  }
});

test('"...IfExists condition operators": a missing key meets the condition, a wrong one does not', () => {
  const condition = { StringLikeIfExists: { 'ec2:InstanceType': ['t1.*', 't2.*', 'm3.*'] } };
  expect(meets(condition, { 'ec2:InstanceType': 't2.micro' })).toBe(true);
  expect(meets(condition, { 'ec2:InstanceType': 'x1.large' })).toBe(false);
  expect(meets(condition, {})).toBe(true);
});

test('"Condition operator to check existence of condition keys": Null', () => {
  const isMissing = { Null: { 'aws:TokenIssueTime': 'true' } };
  const isThere = { Null: { 'aws:TokenIssueTime': 'false' } };
  expect([meets(isMissing, {}), meets(isMissing, { 'aws:TokenIssueTime': 'now' })]).toEqual([true, false]);
  expect([meets(isThere, {}), meets(isThere, { 'aws:TokenIssueTime': 'now' })]).toEqual([false, true]);
});

test('"Boolean condition operators": as in the bucket policy that denies requests without TLS', () => {
  const withoutTls = { Bool: { 'aws:SecureTransport': 'false' } };
  expect(meets(withoutTls, { 'aws:SecureTransport': 'false' })).toBe(true);
  expect(meets(withoutTls, { 'aws:SecureTransport': 'true' })).toBe(false);
  expect(meets({ Bool: { 'aws:SecureTransport': false } }, { 'aws:SecureTransport': 'false' })).toBe(true);
});

test('"Amazon Resource Name (ARN) condition operators": part by part, with wildcards, Equals as Like', () => {
  const topic = 'arn:aws:sns:us-east-1:123456789012:TOPIC-ID';
  for (const operator of ['ArnEquals', 'ArnLike']) {
    const source = (value: string) =>
      meets({ [operator]: { 'aws:SourceArn': value } }, { 'aws:SourceArn': topic });
    expect(source(topic)).toBe(true);
    expect(source('arn:aws:sns:*:123456789012:TOPIC-*')).toBe(true);
    expect(source('arn:aws:sns:*:TOPIC-ID')).toBe(false);
    expect(source('arn:aws:sns:us-east-1:123456789012:OTHER')).toBe(false);
  }
});

test('"Numeric condition operators": less, more, and no number at all', () => {
  const keys = (operator: string, value: string) =>
    meets({ [operator]: { 's3:max-keys': '10' } }, { 's3:max-keys': value });
  expect([keys('NumericLessThanEquals', '10'), keys('NumericLessThan', '10')]).toEqual([true, false]);
  expect([keys('NumericGreaterThan', '11'), keys('NumericGreaterThanEquals', '9')]).toEqual([true, false]);
  expect(keys('NumericLessThan', 'many')).toBe(false);
});

test('"Conditions with multiple context keys or values": keys and operators are joined by AND, values by OR or NOR', () => {
  const condition = {
    StringEquals: { 'aws:PrincipalTag/role': ['a', 'b'], 'aws:PrincipalTag/team': 't' },
    StringNotEquals: { 'aws:PrincipalTag/site': ['x', 'y'] },
  };
  const asked = { 'aws:PrincipalTag/role': 'b', 'aws:PrincipalTag/team': 't', 'aws:PrincipalTag/site': 'z' };
  expect(meets(condition, asked)).toBe(true);
  expect(meets(condition, { ...asked, 'aws:PrincipalTag/role': 'c' })).toBe(false);
  expect(meets(condition, { ...asked, 'aws:PrincipalTag/team': 'u' })).toBe(false);
  expect(meets(condition, { ...asked, 'aws:PrincipalTag/site': 'y' })).toBe(false);
});

test('"Set operators for multivalued context keys": ForAllValues and ForAnyValue', () => {
  const tags = (set: string) => ({
    [`${set}:StringEquals`]: { 'aws:TagKeys': ['environment', 'cost-center'] },
  });
  const all = tags('ForAllValues');
  const any = tags('ForAnyValue');
  const with_ = (...keys: string[]) => ({ 'aws:TagKeys': keys });
  expect([meets(all, with_('environment')), meets(any, with_('environment'))]).toEqual([true, true]);
  expect([meets(all, with_('environment', 'other')), meets(any, with_('environment', 'other'))]).toEqual([
    false,
    true,
  ]);
  expect([meets(all, with_('other')), meets(any, with_('other'))]).toEqual([false, false]);
  expect([meets(all, {}), meets(any, {})]).toEqual([true, false]);
  expect(() => meets({ StringEquals: { 'aws:TagKeys': 'a' } }, with_('a', 'b'))).toThrow('ForAllValues');
});

test('"Variables and tags" in the values of conditions: as in the home directories of a bucket', () => {
  const prefix = { StringLike: { 's3:prefix': ['', 'home/', `home/${v('aws:username')}/*`] } };
  expect(meets(prefix, { 's3:prefix': 'home/anaya/x', 'aws:username': 'anaya' })).toBe(true);
  expect(meets(prefix, { 's3:prefix': 'home/bob/x', 'aws:username': 'anaya' })).toBe(false);
  expect(meets(prefix, { 's3:prefix': 'home/anaya/x' })).toBe(false);
  const own = { StringEquals: { 'aws:ResourceTag/userid': `${v('aws:userid')}` } };
  expect(meets(own, { 'aws:ResourceTag/userid': 'AROA:i-0a', 'aws:userid': 'AROA:i-0a' })).toBe(true);
  expect(meets(own, { 'aws:ResourceTag/userid': 'AROA:i-0a', 'aws:userid': 'AROA:i-0b' })).toBe(false);
});

test('an operator that is not known is an error', () => {
  for (const operator of ['StringAlike', 'DateLessThan', 'IpAddress', 'ForSomeValues:StringEquals']) {
    expect(() => meets({ [operator]: { 'aws:x': '1' } }, { 'aws:x': '1' }), operator).toThrow(
      'not known here',
    );
  }
});
