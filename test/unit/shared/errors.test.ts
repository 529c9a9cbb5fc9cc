import { describe, expect, test } from 'vitest';
import { asTriggerDeployError, isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';

describe('an error of ours', () => {
  test('carries its code, message, hint, detail and cause', () => {
    const cause = new Error('ENOSPC');
    const error = new TriggerDeployError('NO_SPACE', 'the disk is full', {
      hint: 'prune',
      detail: 'df',
      cause,
    });
    expect(error).toMatchObject({
      code: 'NO_SPACE',
      message: 'the disk is full',
      hint: 'prune',
      detail: 'df',
      cause,
      name: 'TriggerDeployError',
    });
    expect(error).toBeInstanceOf(Error);
  });

  test('has no cause of its own making', () => {
    expect('cause' in new TriggerDeployError('USAGE', 'no')).toBe(false);
  });
});

describe('isCode', () => {
  const error = new TriggerDeployError('LOCKED', 'locked');

  test.each<[string, boolean, boolean]>([
    ['without codes, any of ours is one', isCode(error), true],
    ['its own code is one', isCode(error, 'LOCKED'), true],
    ['its own code among others is one', isCode(error, 'PAUSED', 'LOCKED'), true],
    ['another code is none', isCode(error, 'PAUSED'), false],
    ['a plain error is none', isCode(new Error('LOCKED')), false],
    ['an object that looks like one is none', isCode({ code: 'LOCKED', message: '' }, 'LOCKED'), false],
    ['undefined is none', isCode(undefined), false],
  ])('%s', (_, found, expected) => {
    expect(found).toBe(expected);
  });
});

describe('asTriggerDeployError', () => {
  test('leaves one of ours as it is', () => {
    const error = new TriggerDeployError('TIMEOUT', 'late');
    expect(asTriggerDeployError(error)).toBe(error);
  });

  test.each<[string, unknown, string]>([
    ['a bug', new TypeError('x is not a function'), 'x is not a function'],
    ['a thrown string', 'oops', 'oops'],
    ['a thrown undefined', undefined, 'undefined'],
    ['a thrown object', { a: 1 }, '[object Object]'],
  ])('makes %s INTERNAL, with the original as cause', (_, thrown, message) => {
    const error = asTriggerDeployError(thrown);
    expect(error).toMatchObject({ code: 'INTERNAL', message });
    expect(error.cause).toBe(thrown);
  });
});

test('the message of what is no Error is its text', () => {
  expect([messageOf(new Error('a')), messageOf('b'), messageOf(3), messageOf(null)]).toEqual([
    'a',
    'b',
    '3',
    'null',
  ]);
});
