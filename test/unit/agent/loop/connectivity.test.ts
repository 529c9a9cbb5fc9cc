import { expect, test } from 'vitest';
import { createConnectivity } from '../../../../agent/loop/connectivity.ts';
import type { Inbox } from '../../../../agent/loop/ports.ts';
import { createFakePorts, createModel } from '../../../support/fleet/fake-ports.ts';

const calm = new AbortController().signal;

const inboxOf = (overrides: Partial<Inbox> = {}): Inbox => ({
  ensure: async () => {},
  resubscribe: async () => false,
  receive: async () => [],
  delete: async () => {},
  ...overrides,
});

const record = { service: 'payments' } as never;

test('queue and record are missing until both were reached', async () => {
  const connectivity = createConnectivity();
  expect(connectivity.missing()).toHaveLength(2);
  await connectivity.inbox(inboxOf()).receive(calm);
  expect(connectivity.missing()).toEqual([expect.stringContaining('its record in S3')]);
  await connectivity.reporter(createFakePorts(createModel()).reporter).putInstance(record, calm);
  expect(connectivity.missing()).toEqual([]);
});

test('a queue that was set up is missing until a receive succeeds', async () => {
  const connectivity = createConnectivity();
  const denied = async () => {
    throw new Error('access denied');
  };
  const inbox = connectivity.inbox(inboxOf({ receive: denied }));
  await inbox.ensure(calm);
  await expect(inbox.receive(calm)).rejects.toThrow('access denied');
  expect(connectivity.missing()).toContain('its queue: access denied');
});

test('a receive that keeps waiting counts as accepted', async () => {
  const connectivity = createConnectivity();
  const waiting = Promise.withResolvers<never[]>();
  const received = connectivity.inbox(inboxOf({ receive: () => waiting.promise })).receive(calm);
  await expect.poll(() => connectivity.missing().length).toBe(1);
  waiting.resolve([]);
  await received;
});
