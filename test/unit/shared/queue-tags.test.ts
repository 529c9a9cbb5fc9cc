import { describe, expect, test } from 'vitest';
import { ownTags, queueTags } from '../../../shared/queue-tags.ts';

const mistakes = (tags: unknown) =>
  queueTags.safeParse(tags).error?.issues.map((issue) => issue.message) ?? [];

describe('the tags of the operator', () => {
  test.each([
    { team: 'payments' },
    { 'acme:cost-center': '4711', 'owner/mail': 'ops@acme.example', größe: 'a b+c=d_e.f' },
    { ['k'.repeat(128)]: 'v'.repeat(256) },
    Object.fromEntries(Array.from({ length: 46 }, (_, i) => [`k${i}`, 'v'])),
  ])('are what SQS accepts', (tags) => {
    expect(queueTags.parse(tags)).toEqual(tags);
  });

  test.each([
    ['a reserved key of ours', { 'trigger-deploy:userid': 'AROA:i-1' }],
    ['the same in other letters, which IAM takes for the same key', { 'Trigger-Deploy:UserId': 'AROA:i-1' }],
    ['a key of AWS', { 'aws:cloudformation:stack-name': 'x' }],
    ['a value of AWS', { team: 'aws:x' }],
    ['an empty value', { team: '' }],
    ['an empty key', { '': 'x' }],
    ['a comma', { team: 'a,b' }],
    ['a line break', { team: 'a\nb' }],
    ['a long key', { ['k'.repeat(129)]: 'v' }],
    ['a long value', { team: 'v'.repeat(257) }],
    ['a number', { team: 4711 }],
    ['no map', 'team'],
    ['too many', Object.fromEntries(Array.from({ length: 47 }, (_, i) => [`k${i}`, 'v']))],
  ])('are refused with %s', (_, tags) => {
    expect(queueTags.safeParse(tags).success).toBe(false);
  });

  test('that are wrong are named with what was expected', () => {
    expect(mistakes({ team: 4711 })).toEqual(['expected a tag value as text: put it in quotes']);
    expect(mistakes('team')).toEqual(['expected tag values by key']);
  });
});

describe('our own tags', () => {
  const services = (names: string[]) => ownTags({ env: 'dev', services: names })['trigger-deploy:services'];

  test('name the services, sorted, in characters that a tag may have', () => {
    expect(
      ownTags({ env: 'dev', services: ['payments', 'billing'], instance: 'i-1', userId: 'AROA:i-1' }),
    ).toEqual({
      'trigger-deploy:env': 'dev',
      'trigger-deploy:services': 'billing payments',
      'trigger-deploy:instance': 'i-1',
      'trigger-deploy:userid': 'AROA:i-1',
    });
  });

  test('say how many services are left out where not all fit', () => {
    const names = Array.from({ length: 50 }, (_, i) => `service-${String(i).padStart(2, '0')}`);
    const value = services(names) ?? '';
    expect(value.length).toBeLessThanOrEqual(256);
    expect(value).toMatch(/^service-00 service-01 .* \+\d+ more$/);
    const [, more] = /\+(\d+) more$/.exec(value) ?? [];
    expect(value.split(' ').length - 2 + Number(more)).toBe(50);
    expect(queueTags.safeParse({ value }).success).toBe(true);
  });

  test('leave out what there is nothing to say of', () => {
    expect(ownTags({ env: 'dev', services: [] })).toEqual({ 'trigger-deploy:env': 'dev' });
  });
});
