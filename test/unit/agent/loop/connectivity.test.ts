import { expect, test } from 'vitest';
import type { Inbox } from '../../../../agent/loop/agent.ts';
import { createReach } from '../../../../agent/loop/connectivity.ts';
import { createFakePorts, createModel } from '../../../support/fleet/fake-ports.ts';

const calm = new AbortController().signal;

const inboxOf = (overrides: Partial<Inbox> = {}): Inbox => ({
  ensure: async () => {},
  resubscribe: async () => {},
  receive: async () => [],
  delete: async () => {},
  ...overrides,
});

const record = { service: 'payments' } as never;

test('queue and record are missing until both were reached', async () => {
  const reach = createReach();
  expect(reach.missing()).toHaveLength(2);
  await reach.inbox(inboxOf()).receive(calm);
  expect(reach.missing()).toEqual([expect.stringContaining('its record in S3')]);
  await reach.reporter(createFakePorts(createModel()).reporter).putInstance(record, calm);
  expect(reach.missing()).toEqual([]);
});

test('a queue that was set up is not one that can be received from', async () => {
  const reach = createReach();
  const denied = async () => {
    throw new Error('access denied');
  };
  const inbox = reach.inbox(inboxOf({ receive: denied }));
  await inbox.ensure(calm);
  await expect(inbox.receive(calm)).rejects.toThrow('access denied');
  expect(reach.missing()).toContain('its queue: access denied');
});

test('a receive that goes on waiting is one that was accepted', async () => {
  const reach = createReach();
  const waiting = Promise.withResolvers<never[]>();
  const received = reach.inbox(inboxOf({ receive: () => waiting.promise })).receive(calm);
  await expect.poll(() => reach.missing().length).toBe(1);
  waiting.resolve([]);
  await received;
});
