import { execFileSync } from 'node:child_process';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lines, worldWith } from '../support/agent/logs-fixture.ts';
import { temporaryDirectory } from '../support/host/temporary.ts';
import { proved } from '../support/reliability.ts';

const ROTATIONS = 9;

test.each(['create', 'copytruncate'])(
  'logs that logrotate rotates with %s, compressed at once or one rotation later, are stored once',
  async (how) => {
    for (const compression of ['nocompress', 'compress', 'compress\ndelaycompress']) {
      const { at, ship, dir, world } = await worldWith({ 'app.log': '' });
      const settings = await temporaryDirectory();
      const config = join(settings, 'rotate.conf');
      const directives = ['rotate 20', 'missingok', how, compression, 'su root root'];
      await writeFile(config, `"${at('app.log')}" {\n${directives.join('\n')}\n}\n`);
      const written: string[] = [];
      for (let i = 0; i < ROTATIONS; i += 1) {
        const text = lines(i * 1000, i * 1000 + 5);
        await appendFile(at('app.log'), text);
        if (i % 3 !== 2) await ship();
        const more = lines(i * 1000 + 5, i * 1000 + 9);
        if (i % 2) await appendFile(at('app.log'), more);
        written.push(i % 2 ? text + more : text);
        execFileSync('logrotate', ['-f', '-s', join(settings, 'status'), config]);
        if (i % 4 !== 3) await ship();
        if (i % 5 === 4) await world.start();
      }
      expect((await readdir(dir)).length).toBeGreaterThanOrEqual(ROTATIONS);
      expect((await ship()).toSorted()).toEqual(written.toSorted());
    }
    proved('logs', `${3 * ROTATIONS} rotations by logrotate, ${how}`);
  },
);
