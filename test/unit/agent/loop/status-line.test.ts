import { expect, test } from 'vitest';
import type { Inbox } from '../../../../agent/loop/ports.ts';
import { createStatusLine } from '../../../../agent/loop/status-line.ts';
import { createFakePorts, createModel } from '../../../support/fleet/fake-ports.ts';

const calm = new AbortController().signal;

function stage(receive: Inbox['receive'] = async () => []) {
  const shown: string[] = [];
  const statusLine = createStatusLine({ status: (line) => void shown.push(line) });
  const inbox = statusLine.inbox({
    ensure: async () => {},
    resubscribe: async () => false,
    receive,
    delete: async () => {},
  });
  const reporter = statusLine.reporter(createFakePorts(createModel()).reporter);
  const report = (state: string, note?: string) =>
    reporter.progress(
      { kind: 'report', service: 'payments', version: '1.4.2', state, note } as never,
      undefined,
    );
  return { shown, inbox, reporter, report };
}

test('it shows that the agent waits for announcements once a receive succeeds', async () => {
  const { shown, inbox } = stage();
  await inbox.receive(calm);
  expect(shown).toEqual(['waiting for announcements']);
});

test('it shows why the queue cannot be reached', async () => {
  const { shown, inbox } = stage(async () => {
    throw new Error('cannot set up the queue: AWS does not answer');
  });
  await expect(inbox.receive(calm)).rejects.toThrow();
  expect(shown).toEqual(['cannot set up the queue: AWS does not answer']);
});

test('it shows a deployment with its state until its end, and changes at most once a second', async () => {
  const { shown, inbox, report, reporter } = stage();
  await inbox.receive(calm);
  for (let percent = 0; percent < 100; percent += 1) report('preparing', `downloading ${percent} %`);
  report('checking', 'http 503, 0 of 3');
  await expect.poll(() => shown.at(-1)).toBe('deploying payments 1.4.2: checking http 503, 0 of 3');
  expect(shown).toHaveLength(2);
  // An ending may be without a report; the instance record shows it.
  await reporter.putInstance({ service: 'payments', state: 'succeeded' } as never, calm);
  await expect.poll(() => shown.at(-1)).toBe('waiting for announcements');
});
