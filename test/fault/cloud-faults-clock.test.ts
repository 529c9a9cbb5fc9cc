import { afterEach, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** The machines' clocks and AWS's are an hour and more apart: AWS's is the one that counts. */

const MINUTE = 60_000;

let world: FaultWorld;
afterEach(() => world?.stop());

test.each([
  ['slow by 65 minutes', 65 * MINUTE],
  ['fast by 65 minutes', -65 * MINUTE],
])(
  'on machines whose clock is %s a deploy succeeds, and an announcement lives and dies by the clock of AWS',
  async (_title, clockOffsetMs) => {
    world = await startFaultWorld({ clockOffsetMs });
    const instance = await world.addInstance('i-0a1', cheapServices);
    await push(world.fleet, '1.0.0');
    await deploy(world.fleet, '1.0.0');
    expect(await currentOf(instance)).toBe('1.0.0');

    const artifacts = await world.place('2.0.0');
    const aws = (ms: number) => new Date(Date.now() + clockOffsetMs + ms).toISOString();
    const dead = { issuedAt: aws(-20 * MINUTE), expiresAt: aws(-MINUTE) };
    const rejected = await world.deployByHand(instance, '2.0.0', artifacts, dead);
    expect(rejected).toMatchObject({ state: 'rejected', error: { code: 'EXPIRED' } });
    expect(await currentOf(instance)).toBe('1.0.0');

    const alive = { issuedAt: aws(-MINUTE), expiresAt: aws(10 * MINUTE) };
    const report = await world.deployByHand(instance, '2.0.0', artifacts, alive);
    expect(report).toMatchObject({ state: 'succeeded' });
    expect(Math.abs(Date.parse(report.at) - Date.parse(aws(0)))).toBeLessThan(5 * MINUTE);
    expect(await currentOf(instance)).toBe('2.0.0');
    proved('clock', '65 min off: deployed; by AWS’s clock expired, rejected; by AWS’s clock alive, deployed');
  },
);
