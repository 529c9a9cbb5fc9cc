import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROGRAMS } from '../../../systemd/bundle.ts';

test.each(Object.keys(PROGRAMS))('%s is bundled as ASCII, in lines that an error can print', async (name) => {
  const directory = process.env.TRIGGER_DEPLOY_PROGRAMS;
  if (directory === undefined) throw new Error('the programs could not be bundled');
  const source = await readFile(join(directory, `${name}.js`));
  expect(source.find((byte) => byte > 0x7f)).toBeUndefined();
  const longest = Math.max(
    ...source
      .toString('ascii')
      .split('\n')
      .map((line) => line.length),
  );
  expect(longest).toBeLessThan(20_000);
});
