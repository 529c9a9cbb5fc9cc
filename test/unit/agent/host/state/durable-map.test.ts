import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { openDurableMap } from '../../../../../agent/host/state/durable-map.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

const parse = (value: unknown) => z.number().parse(value);
const path = async () => join(await temporaryDirectory(), 'state', 'map');
const opened = async (at: string) => Object.fromEntries((await openDurableMap(at, parse)).entries);

describe('a map on disk', () => {
  test('has what was set, also for the next one that opens it', async () => {
    const at = await path();
    const map = await openDurableMap(at, parse);
    await map.set({ a: 1, b: 2 });
    await map.set({ a: undefined, c: 3 });
    expect(Object.fromEntries(map.entries)).toEqual({ b: 2, c: 3 });
    expect(await opened(at)).toEqual({ b: 2, c: 3 });
  });

  test('keeps its size for many changes, which a full disk then takes', async () => {
    const at = await path();
    const map = await openDurableMap(at, parse);
    await map.set({ a: 0 });
    const { size } = await stat(at);
    for (let i = 1; i <= 500; i += 1) await map.set({ a: i });
    expect((await stat(at)).size).toBe(size);
    expect(await opened(at)).toEqual({ a: 500 });
  });

  test('continues in the file that it found, and is written anew when that is used up', async () => {
    const at = await path();
    await (await openDurableMap(at, parse)).set({ a: 0 });
    for (let i = 1; i <= 30; i += 1) {
      const map = await openDurableMap(at, parse);
      for (let j = 0; j < 200; j += 1) await map.set({ [`${j % 7}`]: i });
    }
    expect(await opened(at)).toEqual({ a: 0, 0: 30, 1: 30, 2: 30, 3: 30, 4: 30, 5: 30, 6: 30 });
    expect((await stat(at)).size).toBeLessThan(200_000);
  });

  test('at whatever byte its last line ends, it has what was set before, and takes the next', async () => {
    const at = await path();
    const map = await openDurableMap(at, parse);
    await map.set({ a: 1 });
    await map.set({ b: 2 });
    const whole = await readFile(at);
    const end = whole.lastIndexOf('}') + 1;
    const begin = whole.lastIndexOf('\n', end) + 1;
    for (let cut = begin; cut < end; cut += 1) {
      const damaged = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(whole.length - cut, '\n')]);
      await writeFile(at, damaged);
      const next = await openDurableMap(at, parse);
      expect(Object.fromEntries(next.entries)).toEqual({ a: 1 });
      await next.set({ c: 3 });
      expect(await opened(at)).toEqual({ a: 1, c: 3 });
    }
  });

  test('a damaged line is left out, and the others count', async () => {
    const at = await path();
    const map = await openDurableMap(at, parse);
    for (const key of ['a', 'b', 'c']) await map.set({ [key]: 1 });
    const text = await readFile(at, 'latin1');
    await writeFile(at, text.replace('"b":1', '"b":9'));
    expect(await opened(at)).toEqual({ a: 1, c: 1 });
  });

  test('a file that is empty, cut off or not its own is an empty map', async () => {
    const at = await path();
    await (await openDurableMap(at, parse)).set({ a: 1 });
    await truncate(at, 0);
    await appendFile(at, 'something else');
    expect(await opened(at)).toEqual({});
    await (await openDurableMap(at, parse)).set({ a: 2 });
    expect(await opened(at)).toEqual({ a: 2 });
  });
});
