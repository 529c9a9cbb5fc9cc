import { expect, test } from 'vitest';
import { createGate } from '../../../../agent/life/gate.ts';
import { calm } from '../../../support/host/clock.ts';

test('while it is closed no queue is made or read, and nothing is written; then all is as before', async () => {
  const calls: string[] = [];
  const does = (call: string) => async () => void calls.push(call);
  const gate = createGate();
  const inbox = gate.inbox({
    ...{ ensure: does('ensure'), delete: does('delete') },
    resubscribe: async () => calls.push('resubscribe') > 0,
    receive: async () => {
      calls.push('receive');
      return [];
    },
  });
  const reporter = gate.reporter({
    ...{ progress: () => {}, deliver: does('deliver'), putInstance: does('putInstance') },
  });
  const heartbeat = gate.heartbeat({ send: does('send') });
  const record = {} as Parameters<typeof reporter.putInstance>[0];
  const report = {} as Parameters<typeof reporter.deliver>[0];
  const all = async () => {
    const work = [inbox.ensure(calm), inbox.resubscribe(calm), inbox.receive(calm)];
    const said = [
      reporter.putInstance(record, calm),
      heartbeat.send(calm),
      reporter.deliver(report, undefined, calm),
    ];
    return (await Promise.allSettled([...work, ...said])).map(({ status }) => status);
  };
  gate.set(false);
  expect(await all()).toEqual([...Array(3).fill('rejected'), ...Array(3).fill('fulfilled')]);
  // What a deployment reported is delivered all the same.
  expect(calls).toEqual(['deliver']);
  gate.set(true);
  expect(await all()).toEqual(Array(6).fill('fulfilled'));
  expect(calls.toSorted()).toEqual(
    ['deliver', 'deliver', 'ensure', 'putInstance', 'receive', 'resubscribe', 'send'].toSorted(),
  );
});
