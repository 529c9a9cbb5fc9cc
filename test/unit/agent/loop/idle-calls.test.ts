import { describe, expect, test } from 'vitest';
import { HOUR, MINUTE, startIdleAgent } from '../../../support/fleet/idle-agent.ts';

/** The calls to AWS of an agent that has nothing to do, by a clock that the test puts forward. */

const named = (count: number) => Array.from({ length: count }, (_, i) => `service-${i}`);

describe('an agent that has nothing to do asks AWS, in a day and in total less than 3.3 times a minute,', () => {
  test.each([
    { services: 1, looks: 1 },
    { services: 50, looks: 48 },
    { services: 100, looks: 48 },
  ])('with $services services: the same, but for $looks looks', async ({ services, looks }) => {
    const agent = await startIdleAgent(named(services));
    await agent.putForward(2 * HOUR);
    agent.forget();
    await agent.putForward(24 * HOUR);
    expect(agent.counts()).toEqual({
      ReceiveMessage: 24 * 180,
      Subscribe: 71,
      'PutObject AROA:i-1.json': 72,
      'GetObject changes.json': 144,
      'GetObject desired.jws': looks,
    });
    expect(agent.asked.length / (24 * 60)).toBeLessThan(3.3);
  });

  test('and in an hour with 50 services', async () => {
    const agent = await startIdleAgent(named(50));
    await agent.putForward(2 * HOUR);
    agent.forget();
    await agent.putForward(HOUR);
    expect(agent.counts()).toEqual({
      ReceiveMessage: 180,
      Subscribe: 3,
      'PutObject AROA:i-1.json': 3,
      'GetObject changes.json': 6,
      'GetObject desired.jws': 2,
    });
  });
});

test('an agent that starts looks at each service three times: at once, once it is subscribed, and a minute later', async () => {
  const agent = await startIdleAgent(named(2));
  await agent.putForward(2 * MINUTE);
  expect(agent.counts()).toEqual({
    ReceiveMessage: 7,
    GetQueueUrl: 1,
    TagQueue: 1,
    GetQueueAttributes: 1,
    SetQueueAttributes: 1,
    Subscribe: 1,
    GetSubscriptionAttributes: 1,
    'GetObject desired.jws': 6,
    // Two records, and the heartbeat.
    'PutObject AROA:i-1.json': 3,
  });
});
