import { expect, test } from 'vitest';
import type { Cell, ConfigView, UnderWay } from '../../../../../publisher/console/api.ts';
import { PERMISSIONS } from '../../../../../publisher/console/permissions.ts';
import { type ActForm, formOf } from '../../../../../publisher/page/acts/act-form.ts';
import {
  canOvercome,
  changesSince,
  decisionObstacles,
  isBehind,
  newestOf,
  prevents,
  seenOf,
  worldOf,
} from '../../../../../publisher/page/acts/act-world.ts';
import type { DeploymentState } from '../../../../../publisher/page/deployment/deployment-state.ts';

const ID = '01M7AAAAAAAAAAAAAAAAAAAAAA';
const form = (query: string) => formOf(new URLSearchParams(`env=prd&service=payments&${query}`)) as ActForm;
const desired = { version: '1', sequence: 41, deployment: ID, by: 'ann', at: 0, action: 'deploy' } as const;
const cell: Cell = {
  ...{ env: 'prd', service: 'payments', desired, instances: 9, good: 9 },
  ...{ drift: 0, broken: 0, silent: 0, queue: [] },
};
const underWay: UnderWay = {
  ...{ deployment: ID, version: '2', from: '1', by: 'bob', since: 0, done: 0, of: 9 },
  action: 'deploy',
  driver: { state: 'held', who: 'bob' },
};
const worldIn = (one: Cell, query: string) => {
  const world = worldOf(form(query), {
    cells: new Map([['prd/payments', one]]),
    ...{ environmentStates: [], service: undefined, deployment: undefined },
  });
  if (world === undefined) throw new Error('nothing is known');
  return world;
};

test('what has changed since the dialog opened is said in words', () => {
  const seen = seenOf(worldIn(cell, 'act=deploy'));
  expect(changesSince(seen, worldIn(cell, 'act=deploy'))).toEqual([]);
  const later = { ...cell, desired: { ...desired, version: '3', sequence: 42, by: 'bob' }, underWay };
  expect(changesSince(seen, worldIn(later, 'act=deploy'))).toEqual([
    'the desired version is 3 now, not 1 (bob)',
    'bob began a deployment of 2',
  ]);
});

test('another deployment prevents the press, unless the person joins the queue', () => {
  const [obstacle] = worldIn({ ...cell, underWay }, 'act=deploy').obstacles;
  if (obstacle === undefined) throw new Error('no obstacle');
  expect(prevents(obstacle, form('act=deploy'))).toBe(true);
  expect(prevents(obstacle, form('act=queue'))).toBe(false);
});

test('a pause prevents a rollback, unless the person ignores it', () => {
  const pause = { scope: 'service', by: 'cat', since: 0, reason: 'quarter end' } as const;
  const [obstacle] = worldIn({ ...cell, pause }, 'act=rollback').obstacles;
  if (obstacle === undefined) throw new Error('no obstacle');
  expect(prevents(obstacle, form('act=rollback&with-queue=1'))).toBe(true);
  expect(prevents(obstacle, form('act=rollback&with-despite-pause=1'))).toBe(false);
});

test('only a deployment that waits can be confirmed, and only one without a driver resumed', () => {
  const codes = (query: string, one: Cell) =>
    decisionObstacles(form(query), worldIn(one, query)).map(({ code }) => code);
  const decide = (act: string) => `act=${act}&deployment=${ID}`;
  expect(codes(decide('confirm'), cell)).toEqual(['SETTLED']);
  expect(codes(decide('confirm'), { ...cell, underWay })).toEqual(['NOT_WAITING']);
  const waiting = { ...underWay, waiting: { since: 0, after: 1 } };
  expect(codes(decide('confirm'), { ...cell, underWay: waiting })).toEqual([]);
  expect(codes(decide('resume'), { ...cell, underWay })).toEqual(['LOCKED']);
  const undriven = { ...underWay, driver: { state: 'none' as const } };
  expect(codes(decide('resume'), { ...cell, underWay: undriven })).toEqual([]);
});

test('what was never deployed has the sequence 0, and what could not be read has none', () => {
  const { desired: _, ...never } = cell;
  expect(worldIn(never, 'act=deploy').sequence).toBe(0);
  expect(worldIn({ ...never, trouble: 'damaged' }, 'act=deploy').sequence).toBeUndefined();
  expect(() => worldIn({ ...never, unread: true }, 'act=deploy')).toThrow('nothing is known');
});

test('a deployment is about the newest push that does not run there', () => {
  const world = worldIn(cell, 'act=deploy');
  const versions = ['2', '1', '0'].map((version) => ({ version, places: [] }));
  expect(newestOf({ ...world, versions })).toBe('2');
  expect(newestOf({ ...world, runs: '2', versions })).toBe('1');
  expect(newestOf({ ...world, versions: [] })).toBeUndefined();
});

test('a decision whose link names no service is about the deployment of the page, and about no other', () => {
  const record = { env: 'prd', service: 'payments', deployment: ID, expected: ['a'], status: 'announced' };
  const state = { view: { record, underWay } } as unknown as DeploymentState;
  const known = { cells: undefined, environmentStates: [], service: undefined, deployment: state };
  const of = (deployment: string) =>
    worldOf(formOf(new URLSearchParams(`act=confirm&env=prd&deployment=${deployment}`)) as ActForm, known);
  expect(of(ID)?.underWay?.by).toBe('bob');
  expect(of(ID.replace('A', 'B'))).toBeUndefined();
});

test('who began a deployment cannot confirm it where another person must, nor can a program or who is not verified', () => {
  const waiting = { ...underWay, waiting: { since: 0, after: 1 } };
  const query = `act=confirm&deployment=${ID}`;
  const texts = (person: ConfigView['person'], confirm: 'person' | 'other') => {
    const environments = [{ name: 'prd', confirm, canSign: true, services: {} }];
    const config: ConfigView = {
      ...{ version: '1', person, mode: 'proxy', readOnly: false, environments },
      ...{ grants: [{ may: PERMISSIONS }], links: {} },
    };
    const all = decisionObstacles(form(query), worldIn({ ...cell, underWay: waiting }, query), config);
    return all.map(({ text }) => text).join();
  };
  const own = 'you began this deployment, and another person must confirm it';
  expect(texts({ name: ' BOB', isVerified: true }, 'other')).toBe(own);
  expect(texts({ name: 'bob', isVerified: true }, 'person')).toBe('');
  expect(texts({ name: 'ann', isVerified: true }, 'other')).toBe('');
  expect(texts({ name: 'ann', isVerified: false }, 'other')).toMatch(/has not verified who ann is/);
  expect(texts({ name: 'ci', isVerified: true, isMachine: true }, 'person')).toMatch(/ci is a program/);
});

test('without an earlier version a rollback needs one that is named, and its dialog opens for that', () => {
  const obstacle = { code: 'NOTHING_TO_ROLL_BACK_TO', text: 'no version before 1' };
  expect(prevents(obstacle, form('act=rollback'))).toBe(true);
  expect(prevents(obstacle, form('act=rollback&version=0'))).toBe(false);
  expect(canOvercome(obstacle, 'rollback')).toBe(true);
});

test('the dialog of a rollback opens during a pause: it can be told to ignore it; others cannot', () => {
  const obstacle = { code: 'PAUSED', text: 'paused by cat' };
  expect(canOvercome(obstacle, 'rollback')).toBe(true);
  expect(canOvercome(obstacle, 'deploy')).toBe(false);
});

test('who waits behind another deployment does not name the sequence that it will change', () => {
  const queue = form('act=queue');
  expect(isBehind(queue, worldIn({ ...cell, underWay }, 'act=queue'))).toBe(true);
  expect(isBehind(queue, worldIn(cell, 'act=queue'))).toBe(false);
  expect(isBehind(form('act=deploy'), worldIn({ ...cell, underWay }, 'act=deploy'))).toBe(false);
});
