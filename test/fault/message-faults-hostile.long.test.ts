import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { proved } from '../support/reliability.ts';
import { hostileWaves } from './support/cloud/hostile.ts';
import { type Besieged, FLAT, startBesieged } from './support/fleet/besieged.ts';
import { currentOf } from './support/fleet/by-hand.ts';

/** Ten thousand hostile messages. */

const SEED = 815;
const HOSTILE = 10_000;
const WAVE = 1000;

let siege: Besieged;

beforeAll(async () => {
  siege = await startBesieged();
});
afterAll(() => siege?.world.stop());

test('ten thousand hostile messages change nothing, the memory stays flat, and the next deployment is as good as ever', async () => {
  const next = hostileWaves(siege.key, siege.valid(), SEED);
  const written = siege.written();
  const memory: number[] = [];
  let expected = 0;
  for (let sent = 0; sent < HOSTILE; sent += WAVE) {
    const wave = next(WAVE);
    expected += wave.filter(({ refused }) => refused).length;
    await siege.send(wave.map(({ text }) => text));
    memory.push(siege.memory());
  }
  expect(siege.refused()).toBe(expected);
  const [warm = 0] = memory;
  expect(Math.max(...memory) - warm).toBeLessThan(FLAT);
  expect(siege.written()).toBe(written);
  expect(await currentOf(siege.instance)).toBe('1.0.0');
  await push(siege.world.fleet, '2.0.0');
  await deploy(siege.world.fleet, '2.0.0');
  expect(await currentOf(siege.instance)).toBe('2.0.0');
  const figure = `${HOSTILE} hostile messages: ${expected} refused, the rest passed over, flat in 64 MiB of heap, then deployed`;
  proved('poison', figure);
  proved('many', figure);
});
