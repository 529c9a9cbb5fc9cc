import { expect, test } from 'vitest';
import type { UnderWay } from '../../../../../publisher/console/api.ts';
import { applyDeployment, joinEvents } from '../../../../../publisher/page/deployment/deployment-state.ts';
import {
  noStages,
  preparedOf,
  stagesAfter,
  standingOf,
  wavesOf,
} from '../../../../../publisher/page/deployment/stages.ts';
import { stepTimesText } from '../../../../../publisher/page/deployment/step-times.ts';
import type { PastDeployment } from '../../../../../publisher/record/local-deployment.ts';
import {
  applyEvent,
  applyEvents,
  emptyView,
  type Row,
} from '../../../../../publisher/render/deployment-view.ts';
import { deploymentEvents, deploymentView, past } from '../../../../support/console/canned-service.ts';

const events = deploymentEvents(9);
const table = events.reduce(applyEvent, emptyView);

test('events that are folded together give what they give one by one', () => {
  expect(applyEvents(emptyView, events)).toEqual(table);
  expect(applyEvents(table, [])).toBe(table);
});

test('a wave stands as its instances do, and those without a wave come last', () => {
  const waves = wavesOf(past(2), table, stagesAfter(noStages, events), undefined);
  expect(waves.map(({ name, instances }) => [name, instances.length])).toEqual([
    ['canary', 1],
    ['wave 2', 3],
    ['in no wave yet', 5],
  ]);
  expect(waves.map((wave) => standingOf(wave, table.rows).word)).toEqual([
    'done',
    'with failures',
    'to come',
  ]);
  expect(preparedOf(table.rows.values(), waves)).toBe(4);
});

test('at a gate the canary is done and all are prepared, though no instance has said so to this page', () => {
  const wave = { now: 1, of: 2 };
  const gate = { ...deploymentView().underWay, wave, waiting: { since: 0, after: 1 } } as UnderWay;
  const planned = [
    { kind: 'canary', instances: ['i-1'], announcedAt: '2026-01-01T00:00:00Z' },
    { kind: 'batch', instances: ['i-2', 'i-3', 'i-4'] },
  ];
  const record = { ...past(1), rolling: { waves: planned } } as unknown as PastDeployment;
  const waves = wavesOf(record, emptyView, noStages, gate);
  expect(waves.map((wave) => standingOf(wave, new Map()).word)).toEqual(['done', 'to come']);
  expect(preparedOf([], waves)).toBe(4);
});

test('a wave that a cancelled deployment never reached is not done', () => {
  const row = { instance: 'i-1', state: 'superseded' } as Row;
  const wave = { name: 'wave 2', instances: ['i-1'], hasBegun: false, hasPassed: false };
  expect(standingOf(wave, new Map([['i-1', row]])).word).toBe('not done');
});

test('messages that follow each other become one, in their order', () => {
  const [first, second] = events.slice(2);
  if (first === undefined || second === undefined) throw new Error('no events');
  const say = (event: typeof first) => ({ type: 'events' as const, at: 1, events: [event] });
  const joined = joinEvents([say(first), say(second), { type: 'alive', at: 2 }, say(first)]);
  expect(joined.map((one) => ('events' in one ? one.events.length : one.type))).toEqual([2, 'alive', 1]);
});

test('a deployment that nobody drives any more keeps its instances', () => {
  const shown = applyDeployment(undefined, { type: 'deployment', view: deploymentView() });
  const left = applyDeployment(shown, { type: 'progress', at: 1, driver: { state: 'none' } });
  expect(left?.view.driver.state).toBe('none');
  expect(left?.view.underWay).toBeUndefined();
  expect(left?.table.rows.size).toBe(9);
});

test('the last time of a step is said where it was quite another one', () => {
  expect(stepTimesText({ prepare: 800, drain: 20, start: 1_200 }, { prepare: 700, start: 600 })).toBe(
    'prepare 800 ms · start 1.2 s (last time 600 ms)',
  );
});
