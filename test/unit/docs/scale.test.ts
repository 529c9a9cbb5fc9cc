import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { HOUR, startIdleAgent } from '../../support/fleet/idle-agent.ts';
import { bill, idleDay, month, totalOf } from '../../support/scale/formula.ts';
import { withTables } from '../../support/scale/tables.ts';

test('the tables of SCALE.md are those that the formula makes', async () => {
  const page = await readFile('docs/SCALE.md', 'utf8');
  expect(page).toBe(withTables(page));
});

test.each([1, 10, 50])(
  'an idle day of an agent with %d services is counted as the formula says',
  async (services) => {
    const agent = await startIdleAgent(Array.from({ length: services }, (_, i) => `service-${i}`));
    await agent.putForward(2 * HOUR);
    agent.forget();
    await agent.putForward(24 * HOUR);
    const counted: Record<string, number> = {};
    for (const { operation } of agent.asked) {
      const service = operation === 'ReceiveMessage' ? 'SQS' : operation === 'Subscribe' ? 'SNS' : 'S3';
      const name = `${service} ${operation}`;
      counted[name] = (counted[name] ?? 0) + 1;
    }
    expect(counted).toEqual(idleDay(services));
  },
);

test('the bill grows with the instances, and hardly with the services', () => {
  const of = (instances: number, services: number) => {
    const {
      SQS,
      SNS,
      'S3 PUT': put,
      'S3 GET': get,
    } = bill(month({ instances, services, deploymentsADay: 10 }));
    return SQS + SNS + put + get;
  };
  expect(of(1000, 1) / of(10, 1)).toBeGreaterThan(90);
  expect(of(1000, 50) / of(1000, 1)).toBeLessThan(1.05);
  expect(totalOf(month({ instances: 0, services: 1, deploymentsADay: 0 }))).toBe(0);
});
