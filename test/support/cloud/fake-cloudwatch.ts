import { standInRefusal } from '../iam/stand-in.ts';
import { accessKeyOf, startStandIn } from './stand-in-server.ts';

/**
 * CloudWatch as far as a publisher speaks to it: DescribeAlarms over the AWS JSON 1.0 protocol of the pinned client. It
 * replaces a service of AWS, whose alarms a test cannot set off; it evaluates no metric: a test sets the states. What it
 * does follows the API Reference, "DescribeAlarms": composite alarms are returned only when `AlarmTypes` asks for them, an
 * alarm that does not exist is left out, an answer has `MaxRecords` alarms at most (50 unless asked for, 100 at most)
 * and a `NextToken` for the rest, and more than 100 names are refused.
 */
export interface FakeCloudWatch {
  /** What makes a publisher ask here. */
  readonly env: Record<string, string>;
  /** Each call so far: the operation, who asked (the access key), and for which alarms. */
  readonly calls: { operation: string; accessKey: string; names: readonly string[] }[];
  /** Makes the alarm, or sets its state. */
  set(name: string, state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA', more?: Partial<Alarm>): void;
  delete(name: string): void;
  /** The most alarms in an answer, however many are asked for; none when left out. */
  pageSize: number;
  /** Answers the next calls with an error, `times` times. */
  fail(error: { status: number; code: string }, times?: number): void;
  /** Resolves once so many calls were answered from now on. */
  answered(count: number): Promise<void>;
  stop(): Promise<void>;
}

interface Alarm {
  type: 'MetricAlarm' | 'CompositeAlarm';
  state: string;
  reason: string;
}

interface Input {
  AlarmNames?: string[];
  AlarmTypes?: string[];
  MaxRecords?: number;
  NextToken?: string;
}

const TARGET = 'GraniteServiceVersion20100801.';

export async function startFakeCloudWatch(): Promise<FakeCloudWatch> {
  const alarms = new Map<string, Alarm>();
  const waiting = new Set<{ left: number; resolve: () => void }>();
  let failure: { status: number; code: string; times: number } | undefined;

  function describe({ AlarmNames, AlarmTypes = ['MetricAlarm'], MaxRecords = 50, NextToken }: Input): object {
    const asked = [...(AlarmNames ?? alarms.keys())];
    const found = asked.filter((name) => AlarmTypes.includes(alarms.get(name)?.type ?? ''));
    const from = Number(NextToken ?? 0);
    const size = Math.min(MaxRecords, fake.pageSize);
    const page = found.slice(from, from + size);
    const described = (type: Alarm['type']) =>
      page
        .filter((name) => alarms.get(name)?.type === type)
        .map((name) => ({
          ...{ AlarmName: name, StateValue: alarms.get(name)?.state, StateReason: alarms.get(name)?.reason },
          StateUpdatedTimestamp: Math.round(Date.now() / 1000),
        }));
    return {
      MetricAlarms: described('MetricAlarm'),
      CompositeAlarms: described('CompositeAlarm'),
      ...(from + size < found.length && { NextToken: String(from + size) }),
    };
  }

  function whyInvalid({ AlarmNames = [], MaxRecords = 50 }: Input): string | undefined {
    if (AlarmNames.length > 100) return 'AlarmNames has more than 100 items';
    return MaxRecords < 1 || MaxRecords > 100 ? 'MaxRecords is not between 1 and 100' : undefined;
  }

  const refused = (status: number, code: string, message: string) => ({
    ...{ status, error: `${code};Sender` },
    body: { __type: `com.amazonaws.cloudwatch#${code}`, message },
  });

  function answer(operation: string, input: Input): { status: number; body: object; error?: string } {
    if (failure !== undefined && failure.times > 0) {
      failure.times -= 1;
      return refused(failure.status, failure.code, 'as the test wants it');
    }
    if (operation !== 'DescribeAlarms') return refused(400, 'InvalidAction', `no ${operation} here`);
    const invalid = whyInvalid(input);
    return invalid === undefined
      ? { status: 200, body: describe(input) }
      : refused(400, 'ValidationError', invalid);
  }

  const server = await startStandIn((request, text, response) => {
    const operation = String(request.headers['x-amz-target'] ?? '').replace(TARGET, '');
    const input = JSON.parse(text) as Input;
    fake.calls.push({ operation, accessKey: accessKeyOf(request), names: input.AlarmNames ?? [] });
    const refusal = standInRefusal(request, `cloudwatch:${operation}`, { features: { alarms: true } });
    const { status, body, error } =
      refusal === undefined ? answer(operation, input) : refused(403, 'AccessDenied', refusal);
    response.setHeader('content-type', 'application/x-amz-json-1.0');
    if (error !== undefined) response.setHeader('x-amzn-query-error', error);
    response.writeHead(status).end(JSON.stringify(body));
    for (const one of waiting) {
      one.left -= 1;
      if (one.left > 0) continue;
      waiting.delete(one);
      one.resolve();
    }
  });

  const fake: FakeCloudWatch = {
    env: { AWS_ENDPOINT_URL_CLOUDWATCH: server.endpoint },
    calls: [],
    pageSize: Number.POSITIVE_INFINITY,
    set: (name, state, more = {}) =>
      void alarms.set(name, {
        type: 'MetricAlarm',
        reason: `made ${state} by a test`,
        ...alarms.get(name),
        state,
        ...more,
      }),
    delete: (name) => void alarms.delete(name),
    fail(error, times = Number.POSITIVE_INFINITY) {
      failure = { ...error, times };
    },
    answered: (left) => new Promise((resolve) => waiting.add({ left, resolve })),
    stop: server.stop,
  };
  return fake;
}
