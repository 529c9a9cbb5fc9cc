import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openAlarms } from '../../../../publisher/checks/cloudwatch.ts';
import { type Aws, createAws } from '../../../../shared/aws.ts';
import { type FakeCloudWatch, startFakeCloudWatch } from '../../../support/cloud/fake-cloudwatch.ts';

let cloudwatch: FakeCloudWatch;
let aws: Aws;
const before = { ...process.env };
/** Gives the next file of this process the variables that it would have without this one. */
function restoreVariables(names: readonly string[]): void {
  for (const name of names) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
}
const never = new AbortController().signal;

beforeAll(async () => {
  cloudwatch = await startFakeCloudWatch();
  const keys = { AWS_ACCESS_KEY_ID: 'publisher', AWS_SECRET_ACCESS_KEY: 'secret' };
  Object.assign(process.env, cloudwatch.env, keys);
  aws = createAws({ region: 'eu-west-1' });
});
afterEach(() => {
  cloudwatch.pageSize = Number.POSITIVE_INFINITY;
  cloudwatch.fail({ status: 500, code: 'InternalFailure' }, 0);
});
afterAll(async () => {
  aws.close();
  restoreVariables([...Object.keys(cloudwatch.env), 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']);
  await cloudwatch.stop();
});

const read = async (...names: string[]) => {
  const alarms = openAlarms(aws, names);
  try {
    return await alarms.read(never);
  } finally {
    alarms.close();
  }
};

describe('the alarms', () => {
  test('are read with their states and reasons, metric and composite ones, in one call', async () => {
    cloudwatch.set('5xx', 'OK');
    cloudwatch.set('all', 'ALARM', { type: 'CompositeAlarm', reason: '5xx\u001b[31m or\nlatency' });
    const before = cloudwatch.calls.length;
    expect(await read('5xx', 'all')).toEqual([
      { name: '5xx', state: 'OK', reason: 'made OK by a test' },
      { name: 'all', state: 'ALARM', reason: '5xx or latency' },
    ]);
    expect(cloudwatch.calls.slice(before)).toEqual([
      { operation: 'DescribeAlarms', accessKey: 'publisher', names: ['5xx', 'all'] },
    ]);
  });

  test('that do not exist are left out', async () => {
    expect(await read('nothing')).toEqual([]);
  });

  test('are all read, however many an answer has', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `alarm ${i}`);
    for (const name of names) cloudwatch.set(name, 'OK');
    cloudwatch.pageSize = 7;
    expect((await read(...names)).map(({ name }) => name)).toEqual(names);
  });

  test('are asked for again while CloudWatch throttles', async () => {
    cloudwatch.fail({ status: 400, code: 'Throttling' }, 1);
    expect(await read('5xx')).toMatchObject([{ name: '5xx' }]);
  });

  test('that this caller may not read are a named error', async () => {
    cloudwatch.fail({ status: 403, code: 'AccessDenied' });
    await expect(read('5xx')).rejects.toMatchObject({
      code: 'AWS_DENIED',
      message: expect.stringContaining('cannot read the CloudWatch alarms'),
    });
  });
});
