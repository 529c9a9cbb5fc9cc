import { expect, test } from 'vitest';
import type { Inbox } from '../../../../agent/loop/agent.ts';
import { createDoing } from '../../../../agent/loop/status-line.ts';
import { createFakePorts, createModel } from '../../../support/fleet/fake-ports.ts';

const calm = new AbortController().signal;

function stage(receive: Inbox['receive'] = async () => []) {
  const told: string[] = [];
  const doing = createDoing({ status: (line) => void told.push(line) });
  const inbox = doing.inbox({
    ensure: async () => {},
    resubscribe: async () => {},
    receive,
    delete: async () => {},
  });
  const reporter = doing.reporter(createFakePorts(createModel()).reporter);
  const report = (state: string, note?: string) =>
    reporter.progress(
      { kind: 'report', service: 'payments', version: '1.4.2', state, note } as never,
      undefined,
    );
  return { told, inbox, reporter, report };
}

test('it waits for announcements once the queue can be received from', async () => {
  const { told, inbox } = stage();
  await inbox.receive(calm);
  expect(told).toEqual(['waiting for announcements']);
});

test('a queue that cannot be reached is named, with why', async () => {
  const { told, inbox } = stage(async () => {
    throw new Error('cannot set up the queue: AWS does not answer');
  });
  await expect(inbox.receive(calm)).rejects.toThrow();
  expect(told).toEqual(['cannot set up the queue: AWS does not answer']);
});

test('a deployment is named with its state until its end, and not more than once a second', async () => {
  const { told, inbox, report, reporter } = stage();
  await inbox.receive(calm);
  for (let percent = 0; percent < 100; percent += 1) report('preparing', `downloading ${percent} %`);
  report('checking', 'http 503, 0 of 3');
  await expect.poll(() => told.at(-1)).toBe('deploying payments 1.4.2: checking http 503, 0 of 3');
  expect(told).toHaveLength(2);
  // Of an ending that is told to nobody the instance record speaks.
  await reporter.putInstance({ service: 'payments', state: 'succeeded' } as never, calm);
  await expect.poll(() => told.at(-1)).toBe('waiting for announcements');
});
