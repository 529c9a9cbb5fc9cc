import { describe, expect, it } from 'vitest';
import {
  DEV,
  details,
  load,
  makeDirectoriesForEach,
  refused,
} from '../../../support/publisher/config-fixture.ts';

makeDirectoriesForEach();

const config = (payments: string) => `environments:
${DEV}    services:
      payments: ${payments}
`;
const mistakes = async (payments: string) => details(await refused(config(payments)));

describe('the automatic checks of a service', () => {
  it('are alarms, by name or with what no data means, how long they are watched, and a command', async () => {
    const given = {
      alarms: ['payments 5xx/é', { name: 'heartbeat', insufficientData: 'fail' }],
      watchAlarms: '0s',
      verify: { run: ['./smoke', '', '--now'], timeout: '2m' },
    };
    expect((await load(config(JSON.stringify(given)))).services.payments).toEqual(given);
  });

  it.each([
    ['{ alarms: payments-5xx }', 'alarms: expected a list of CloudWatch alarms, found "payments-5xx"'],
    ['{ alarms: [] }', 'alarms: expected at least one alarm'],
    ['{ alarms: [a, b, a] }', 'alarms.2: expected each alarm once, found "a" twice'],
    [
      '{ alarms: ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a"] }',
      'alarms.0: expected the name of a CloudWatch alarm',
    ],
    ['{ alarms: ["a\\nb"] }', 'alarms.0: expected the name of a CloudWatch alarm'],
    ['{ alarms: [{ name: a, insufficientData: pass }] }', 'expected fail or ignore, found "pass"'],
    ['{ alarms: [{ nmae: a }] }', 'unknown key, did you mean "name"?'],
    ['{ watchAlarms: 5m }', 'watchAlarms: expected alarms with watchAlarms, found none'],
    [
      '{ alarms: [a], watchAlarms: soon }',
      'watchAlarms: expected a duration such as 30s or 10m, found "soon"',
    ],
    ['{ verify: ./smoke }', 'verify: expected { run: [COMMAND, ARGUMENT], timeout: 5m }, found "./smoke"'],
    ['{ verify: { run: ./smoke } }', 'verify.run: expected a command and its arguments, as a list'],
    ['{ verify: { run: [] } }', 'verify.run: expected a command and its arguments, as a list'],
    ['{ verify: { run: [a, "b\\0"] } }', 'verify.run.1: expected a text without NUL, found "b\\u0000"'],
    [
      `{ verify: { run: [a, ${'x'.repeat(16_384)}] } }`,
      'verify.run: expected a command of at most 16384 characters',
    ],
    ['{ verify: { run: [""] } }', 'verify.run: expected a command as the first item'],
    [
      '{ verify: { run: [a], timeout: 0s } }',
      'verify.timeout: expected a duration such as 30s or 10m, more than 0',
    ],
    ['{ verify: { run: [a], shell: true } }', 'verify.shell: unknown key'],
  ])('%s is a mistake', async (payments, mistake) => {
    expect((await mistakes(payments)).join('\n')).toContain(mistake);
  });

  it('are at most 100 alarms', async () => {
    const alarms = Array.from({ length: 101 }, (_, i) => `a${i}`);
    expect(await mistakes(JSON.stringify({ alarms }))).toEqual([
      expect.stringContaining('expected at most 100 alarms'),
    ]);
  });
});
