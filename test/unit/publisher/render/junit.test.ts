import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExitCode, PublisherEvent } from '../../../../publisher/events.ts';
import { createJUnit } from '../../../../publisher/render/junit.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { elements, junitMistakes } from '../../../support/publisher/junit-schema.ts';
import {
  ID,
  instance,
  reported,
  START,
  settled,
  started,
} from '../../../support/publisher/render-samples.ts';
import { type Element, parseXml } from '../../../support/publisher/strict-xml.ts';

type How = { code: ExitCode } | { error: unknown } | 'not yet';

function documentOf(events: readonly PublisherEvent[], how: How = { code: 0 }): Element {
  const junit = createJUnit({ command: 'deploy payments 1.4.2', group: 'payments.dev' });
  for (const event of events) junit.event(event);
  if (how !== 'not yet') junit.ended(how);
  const root = parseXml(junit.xml(START + 60_000));
  expect(junitMistakes(root)).toEqual([]);
  return root;
}

/** Per case: its class and name, and what became of it. */
const casesOf = (root: Element) =>
  elements(root, 'testcase').map(({ attributes, children: [outcome] }) => [
    `${attributes.classname} ${attributes.name}`,
    outcome === undefined ? 'passed' : `${outcome.name} ${outcome.attributes.type ?? ''}`.trim(),
  ]);
const only = (root: Element, name: string) => {
  const found = elements(root, name);
  expect(found).toHaveLength(1);
  return found[0] as Element;
};

const two = started([instance('i-1', 'a'), instance('i-2', 'b')]);
const failed = (id: string, detail = 'out of memory') =>
  reported(3000, id, {
    state: 'rolled-back',
    error: { code: 'CHECK_FAILED', message: 'GET /health answered 500', detail, hint: 'look at the log' },
    timings: { prepare: 1000, check: 1500 },
  });
const done = (id: string) => reported(2000, id, { state: 'succeeded', timings: { prepare: 1250 } });

describe('a deployment', () => {
  test('is a suite, and each of its instances a case with its time', () => {
    const outcome = settled({ outcome: 'succeeded', exitCode: 0, text: '2 of 2 succeeded' });
    const root = documentOf([two, done('i-1'), done('i-2'), outcome]);
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'passed'],
      ['payments.dev i-2', 'passed'],
    ]);
    const suite = only(root, 'testsuite');
    expect(suite.attributes).toMatchObject({
      name: 'deploy payments 1.4.2 in dev',
      tests: '2',
      failures: '0',
    });
    expect(elements(root, 'testcase')[0]?.attributes.time).toBe('1.250');
    const properties = elements(root, 'property').map(({ attributes: { name, value } }) => [name, value]);
    expect(Object.fromEntries(properties)).toMatchObject({ deployment: ID, outcome: 'succeeded' });
  });

  test('whose automatic checks fail has a case per check, with the output of verify, beside instances that failed', () => {
    const check = { type: 'check', deployment: ID } as const;
    const verify = { ...check, check: 'verify', phase: 'canary', text: './smoke' } as const;
    const root = documentOf(
      [
        ...[two, done('i-1'), failed('i-2')],
        { ...verify, at: START + 3000, state: 'started' },
        { ...verify, at: START + 4500, state: 'failed', text: 'exit code 3', output: 'GET /\n500 ]]>' },
        { ...check, check: 'alarms', at: START + 5000, state: 'failed', text: 'the alarm 5xx is in ALARM' },
        settled(),
      ],
      { code: 1 },
    );
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'passed'],
      ['payments.dev i-2', 'failure CHECK_FAILED'],
      ['payments.dev verify after the canary', 'failure verify'],
      ['payments.dev alarms', 'failure alarms'],
    ]);
    const [, ofVerify, ofAlarms] = elements(root, 'failure');
    expect(ofVerify?.attributes.message).toBe('exit code 3');
    expect(ofVerify?.text).toBe('GET /\n500 ]]>');
    expect(ofAlarms?.attributes.message).toBe('the alarm 5xx is in ALARM');
    expect(elements(root, 'testcase')[2]?.attributes.time).toBe('1.500');
  });

  test('that fails has the code, the message and the log of each failed instance', () => {
    const root = documentOf([two, done('i-1'), failed('i-2'), settled()], { code: 1 });
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'passed'],
      ['payments.dev i-2', 'failure CHECK_FAILED'],
    ]);
    const failure = only(root, 'failure');
    expect(failure.attributes.message).toBe('rolled-back: GET /health answered 500');
    expect(failure.text).toContain('out of memory');
    expect(failure.text).toContain('→ look at the log');
    expect(failure.text).toContain(`trigger-deploy show ${ID} --instance i-2 --env dev`);
  });

  test('that is rolled back everywhere has a second suite, whose cases are in a group of their own', () => {
    const text = '1 of 2 rolled back';
    const first = settled({ text });
    const back = { deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6J', action: 'rollback', version: '1.4.1' } as const;
    const again = reported(9000, 'i-1', { ...back, state: 'succeeded' });
    const second = settled({ deployment: back.deployment, outcome: 'succeeded', exitCode: 0 });
    const events = [two, done('i-1'), failed('i-2'), first];
    const root = documentOf(
      [
        ...events,
        started([instance('i-1', 'a')], back),
        again,
        second,
        settled({ text, afterRollback: true, shown: true }),
      ],
      { code: 1 },
    );
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'passed'],
      ['payments.dev i-2', 'failure CHECK_FAILED'],
      ['payments.dev.rollback i-1', 'passed'],
    ]);
    expect(elements(root, 'testsuite').map(({ attributes }) => attributes.name)).toEqual([
      'deploy payments 1.4.2 in dev',
      'rollback payments 1.4.1 in dev',
    ]);
  });

  test('that times out fails on those that were silent or late', () => {
    const outcome = settled({ outcome: 'timed-out', exitCode: 3, silent: ['i-1'] });
    const root = documentOf([two, reported(100, 'i-2', { state: 'checking' }), outcome], { code: 3 });
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'failure SILENT'],
      ['payments.dev i-2', 'failure TIMEOUT'],
    ]);
  });

  test('skips what was nobody’s fault: allowed to be missing, cancelled, superseded, terminated, not reached', () => {
    const ids = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5'];
    const ended = { code: 'SUPERSEDED', message: 'a newer deployment was announced' };
    const gone = { code: 'INSTANCE_TERMINATING', message: 'a notice' };
    const root = documentOf([
      started(ids.map((id) => instance(id, 'a'))),
      reported(1, 'i-2', { state: 'superseded', error: ended }),
      reported(1, 'i-3', { state: 'cancelled' }),
      reported(1, 'i-4', { state: 'failed', error: gone }),
      settled({ outcome: 'succeeded', exitCode: 0, silent: ['i-1'] }),
    ]);
    expect(casesOf(root).map(([, outcome]) => outcome)).toEqual(ids.map(() => 'skipped'));
    expect(elements(root, 'skipped').map(({ attributes }) => attributes.message)).toEqual([
      'never answered; the deployment allowed that',
      'a newer deployment was announced',
      'cancelled',
      'the instance is being terminated',
      expect.stringContaining('not reached'),
    ]);
  });

  test('that fails although no instance did has a case that says so', () => {
    const outcome = settled({ text: 'the alarm 5xx is in ALARM', hint: 'look at it' });
    const root = documentOf([two, done('i-1'), done('i-2'), outcome], { code: 1 });
    expect(casesOf(root).at(-1)).toEqual(['payments.dev deploy 1.4.2', 'failure failed']);
    expect(only(root, 'failure').attributes.message).toBe('the alarm 5xx is in ALARM');
  });
});

describe('a command', () => {
  test('that is refused has one failing case that says why', () => {
    const error = new TriggerDeployError('PAUSED', 'payments is paused by alice', { hint: 'unpause it' });
    const root = documentOf([], { error });
    expect(casesOf(root)).toEqual([['payments.dev deploy payments 1.4.2', 'error PAUSED']]);
    expect(only(root, 'error')).toMatchObject({
      attributes: { message: 'payments is paused by alice' },
      text: '→ unpause it',
    });
  });

  test('that breaks off keeps what the instances said', () => {
    const root = documentOf([two, done('i-1')], {
      error: new TriggerDeployError('FENCED', 'another has the lock'),
    });
    expect(casesOf(root)).toEqual([
      ['payments.dev i-1', 'passed'],
      ['payments.dev i-2', expect.stringContaining('skipped')],
      ['payments.dev deploy payments 1.4.2', 'error FENCED'],
    ]);
  });

  test('that stops following fails, unless it was asked not to wait', () => {
    expect(casesOf(documentOf([two, done('i-1')], { code: 3 })).at(-1)?.[1]).toBe('failure exit 3');
    const outcomes = casesOf(documentOf([two], { code: 0 })).map(([, outcome]) => outcome);
    expect(outcomes).toEqual(['skipped', 'skipped']);
  });

  test('that has not ended says so, and has what it knows', () => {
    expect(casesOf(documentOf([], 'not yet'))).toEqual([
      ['payments.dev deploy payments 1.4.2', 'error INTERRUPTED'],
    ]);
    expect(casesOf(documentOf([two, done('i-1')], 'not yet')).at(-1)?.[1]).toBe('error INTERRUPTED');
  });

  test('shows its warnings', () => {
    const note: PublisherEvent = { type: 'note', at: START, level: 'warning', text: 'a <reply> was dropped' };
    expect(only(documentOf([two, note, done('i-1'), done('i-2')]), 'system-err').text).toBe(
      'a <reply> was dropped',
    );
    expect(only(documentOf([note], { code: 0 }), 'system-err').text).toBe('a <reply> was dropped');
  });
});

describe('hostile texts', () => {
  test.each([
    ['markup', '</failure><testcase name="forged"/> & ]]> <!-- <![CDATA['],
    ['entities', '&lol; &#0; &amp; &#xFFFF;'],
    ['control characters and colours', '\u0000\u0001\u0008\u000b\u001b[31mred\u001b[0m\u007f\u0080'],
    ['lone surrogates and no characters', '\ud800 x \udfff \ufffe \uffff \u{1f680}'],
    ['carriage returns', 'a\r\nb\rc'],
    ['quotes', `"' x="y"`],
  ])('%s stay text', (_, text) => {
    const hostile = reported(1, 'i-2', {
      state: 'failed',
      error: { code: text, message: text, detail: `log ${text} end`, hint: text },
    });
    const root = documentOf([two, done('i-1'), hostile, settled({ text })], { code: 1 });
    expect(elements(root, 'testcase')).toHaveLength(2);
    expect(only(root, 'failure').text).toMatch(/log [\s\S]* end/);
  });

  test('of any kind make a document that a strict reader reads', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 200 });
    fc.assert(
      fc.property(anything, anything, anything, (one, other, third) => {
        const error = { code: one, message: other, detail: third };
        const hostile = reported(1, 'i-2', { state: 'broken', error, version: one });
        documentOf([started([instance('i-2', third)], { reason: one, issuedBy: other }), hostile], {
          error: new TriggerDeployError('CONFLICT', third, { detail: one, hint: other }),
        });
      }),
    );
  });

  test('logs of thousands of instances are bounded, and each failure keeps its message', () => {
    const ids = Array.from({ length: 1000 }, (_, i) => `i-${i}`);
    const junit = createJUnit({ command: 'deploy', group: 'payments.dev' });
    junit.event(started(ids.map((id) => instance(id, 'a'))));
    for (const id of ids) junit.event(failed(id, 'x'.repeat(16 * 1024)));
    junit.ended({ code: 1 });
    const text = junit.xml(START);
    expect(text.length).toBeLessThan(4 * 1024 * 1024);
    expect(elements(parseXml(text), 'failure')).toHaveLength(1000);
  });
});
