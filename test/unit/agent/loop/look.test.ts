import { describe, expect, test } from 'vitest';
import { isDue } from '../../../../agent/loop/look.ts';
import { keys } from '../../../../shared/names.ts';
import { HOUR, type IdleAgent, MINUTE, startIdleAgent } from '../../../support/fleet/idle-agent.ts';

/** How an agent finds a desired state that no announcement told of. The looks are as far apart as they can be. */

const SERVICES = ['orders', 'payments'];
const LIST = keys.changes('dev');

async function agentOf(options: { withList?: boolean; services?: string[] } = {}): Promise<IdleAgent> {
  const agent = await startIdleAgent(options.services ?? SERVICES, { jitter: 'longest', ...options });
  await agent.putForward(HOUR);
  agent.forget();
  return agent;
}

const looks = (agent: IdleAgent) => agent.counts()['GetObject desired.jws'] ?? 0;
const looksAt = (agent: IdleAgent, service: string) =>
  agent.asked.filter(({ key }) => key === keys.desired('dev', service)).length;
/** The sequence of the order that the agent has accepted for payments. */
const accepted = (agent: IdleAgent) => agent.state('payments').seen?.sequence;

describe('a change that no announcement told of', () => {
  test('is found within 12 minutes, by one look at its service and none at the others', async () => {
    const agent = await agentOf();
    agent.list({ orders: 'orders 1', payments: 'payments 2' });
    agent.desire('payments', '1.1.0', 2);
    await agent.putForward(12 * MINUTE);
    expect(accepted(agent)).toBe(2);
    expect(looksAt(agent, 'payments')).toBe(1);
    expect(looksAt(agent, 'orders')).toBe(0);
  });

  test('has the subscription renewed at once: the announcement was missed', async () => {
    const agent = await agentOf();
    await agent.putForward(4 * MINUTE);
    agent.list({ orders: 'orders 1', payments: 'payments 2' });
    agent.desire('payments', '1.1.0', 2);
    await agent.putForward(12 * MINUTE);
    const found = agent.asked.find(({ key }) => key?.endsWith('payments/desired.jws'))?.at ?? 0;
    const renewed = agent.asked.filter(({ operation, at }) => operation === 'Subscribe' && at >= found);
    expect(renewed[0]?.at).toBeLessThanOrEqual(found + 20_000);
  });

  test('is found although its publisher wrote it minutes after the list, or another one did', async () => {
    const agent = await agentOf();
    agent.list({ orders: 'orders 1', payments: 'payments 2' });
    await agent.putForward(11 * MINUTE);
    expect(looksAt(agent, 'payments')).toBeGreaterThan(0);
    agent.desire('payments', '1.1.0', 2, { nonce: 'of another publisher' });
    await agent.putForward(6 * MINUTE);
    expect(accepted(agent)).toBe(2);
  });

  test('is found within a day although the list was held back', async () => {
    const agent = await agentOf();
    agent.desire('payments', '1.1.0', 2);
    await agent.putForward(24 * HOUR);
    expect(accepted(agent)).toBe(2);
  });

  test('is found within minutes without a list, as by an agent of an older version', async () => {
    const agent = await agentOf({ withList: false });
    agent.desire('payments', '1.1.0', 2);
    await agent.putForward(6 * MINUTE);
    expect(accepted(agent)).toBe(2);
  });

  test.each([
    ['is not JSON', (agent: IdleAgent) => agent.put(LIST, '{')],
    ['is another document', (agent: IdleAgent) => agent.put(LIST, '{"v":1,"services":[1]}')],
    ['is too large', (agent: IdleAgent) => agent.put(LIST, ' '.repeat(300 * 1024))],
    ['is deleted', (agent: IdleAgent) => agent.remove(LIST)],
    ['may not be read', (agent: IdleAgent) => agent.deny(LIST)],
  ])('is found within minutes when the list %s', async (_title, damage) => {
    const agent = await agentOf();
    damage(agent);
    agent.desire('payments', '1.1.0', 2);
    await agent.putForward(18 * MINUTE);
    expect(accepted(agent)).toBe(2);
  });

  test('is found at once after the machine has slept for minutes', async () => {
    const agent = await agentOf();
    agent.desire('payments', '1.1.0', 2);
    agent.suspend(10 * MINUTE);
    await agent.putForward(21_000);
    expect(accepted(agent)).toBe(2);
  });

  test('is found at once when the subscription turns out to be a new one', async () => {
    const agent = await agentOf();
    agent.desire('payments', '1.1.0', 2);
    agent.unsubscribe();
    await agent.putForward(21 * MINUTE);
    expect(accepted(agent)).toBe(2);
  });
});

describe('a service that cannot converge', () => {
  test.each([0, 6 * MINUTE])('keeps no other one from it, %i ms later', async (later) => {
    const agent = await agentOf();
    await agent.putForward(later);
    agent.breakCurrent('payments');
    await agent.putForward(6 * MINUTE);
    agent.list({ orders: 'orders 2', payments: 'payments 1' });
    agent.desire('orders', '1.1.0', 2);
    await agent.putForward(13 * MINUTE);
    expect(agent.state('orders').seen?.sequence).toBe(2);
  });

  test('does not stop the looks in turn', async () => {
    const agent = await agentOf();
    agent.breakCurrent('payments');
    await agent.putForward(30 * HOUR);
    agent.desire('orders', '1.1.0', 2);
    await agent.putForward(24 * HOUR);
    expect(agent.state('orders').seen?.sequence).toBe(2);
  });
});

describe('the list', () => {
  test('makes an agent read a desired state three times at most, if that never becomes what the list says', async () => {
    const agent = await agentOf();
    agent.list({ orders: 'orders 1', payments: 'never written' });
    await agent.putForward(6 * HOUR);
    expect(looksAt(agent, 'payments')).toBe(3);
    expect(accepted(agent)).toBeUndefined();
  });

  test('that does not name a service any more has it read three times', async () => {
    const agent = await agentOf();
    agent.list({ orders: 'orders 1' });
    await agent.putForward(6 * HOUR);
    expect(looksAt(agent, 'payments')).toBe(3);
    expect(looksAt(agent, 'orders')).toBe(0);
  });

  test('that names services which this instance does not have costs nothing', async () => {
    const agent = await agentOf();
    agent.list({ orders: 'orders 1', payments: 'payments 1', constructor: 'x', other: 'y' });
    await agent.putForward(6 * HOUR);
    expect(looks(agent)).toBe(0);
  });
});

test('a desired state that only the state of the instance stood against is read again when that has changed', async () => {
  const agent = await agentOf({ services: ['payments'] });
  agent.list({ payments: 'payments 2' });
  // A pause does not end by itself, but the instance runs nothing any more: then it does not apply.
  const pause = { by: 'ci', since: '2026-01-01T00:00:00.000Z', reason: 'freeze' };
  agent.desire('payments', '1.1.0', 2, { pause });
  await agent.putForward(HOUR);
  expect(accepted(agent)).toBeUndefined();
  expect(looks(agent)).toBe(1);
  agent.forget();
  agent.runNothing('payments');
  await agent.putForward(6 * MINUTE);
  expect(accepted(agent)).toBe(2);
  expect(looks(agent)).toBe(1);
});

describe('whether a desired state has to be read', () => {
  const changes = new Map([['payments', 'new']]);
  test.each([
    ['without a list', undefined, {}, true],
    ['that the list names and that is not known', changes, {}, true],
    ['that is known', changes, { known: 'new' }, false],
    ['of which another one is known', changes, { known: 'old' }, true],
    ['that was looked for twice', changes, { looked: { nonce: 'new', times: 2 } }, true],
    ['that was looked for three times', changes, { looked: { nonce: 'new', times: 3 } }, false],
    ['of which another one was looked for', changes, { looked: { nonce: 'old', times: 3 } }, true],
    ['that the list does not name', new Map(), { known: 'old' }, true],
    ['that it does not name, after three looks', new Map(), { looked: { nonce: '', times: 3 } }, false],
  ] as const)('%s', (_title, list, { known, looked }: Partial<Parameters<typeof isDue>[2]>, expected) => {
    expect(isDue('payments', list, { known, looked })).toBe(expected);
  });
});
