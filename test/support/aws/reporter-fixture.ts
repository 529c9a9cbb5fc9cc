import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { createReporter } from '../../../agent/aws/reporter.ts';
import type { Aws } from '../../../shared/aws.ts';
import type { Clock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { newUlid, replyQueueName } from '../../../shared/names.ts';
import type { Report } from '../../../shared/report.ts';
import type { State } from '../../../shared/states.ts';
import type { Cloud } from '../cloud/cloud.ts';
import { userIdOf } from '../cloud/sqs.ts';
import { systemClock } from '../host/clock.ts';
import { BUCKET, cloudAndAws } from './fixture.ts';

export const DEPLOYMENT = '01JDB2Z3Y4X5W6V7T8S9R0QPNM';

export function reportOf(n: number, state: State, more: Partial<Report> = {}): Report {
  return {
    kind: 'report',
    v: 1,
    deployment: DEPLOYMENT,
    env: 'dev',
    service: 'payments',
    instance: 'i-0a',
    sequence: 7,
    n,
    at: '2025-01-31T08:14:02.113Z',
    state,
    version: '1.4.2',
    timings: {},
    ...more,
  };
}

export async function reporterAndCloud(clock: Clock = systemClock) {
  const { cloud, aws, hand } = await cloudAndAws();
  const reporter = createReporter({
    ...{ aws, bucket: BUCKET, clock, log: silentLog() },
    userId: async () => userIdOf('i-0a'),
  });
  const makeQueue = (name: string) => hand.sqs.send(new CreateQueueCommand({ QueueName: name }));
  return { cloud, aws, reporter, makeQueue };
}

/** The name of a reply queue that a publisher created `agoMs` ago. */
export const replyQueue = (agoMs = 60_000) => replyQueueName('dev', newUlid(Date.now() - agoMs));

export const repliesIn = (cloud: Cloud, queue: string) =>
  cloud.messages(queue).map((body) => {
    const { n, state } = JSON.parse(body) as Report;
    return [n, state];
  });

/** Holds matching requests back until `release` is called. */
export function holdBack(client: Aws['sqs'], which: (command: string) => boolean) {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (which(String(context.commandName))) {
        reach();
        await held;
      }
      return next(args);
    },
    { step: 'initialize', name: 'hold back' },
  );
  return { release, reached };
}
