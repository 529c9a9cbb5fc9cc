import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { runCommand } from '../../../agent/wire-commands.ts';

test('status runs for a user id that has no name: only an order needs the name', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wire-commands-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const config = join(directory, 'agent.yaml');
  const idle = ['/bin/true'];
  await writeFile(
    config,
    stringify({
      env: 'dev',
      region: 'eu-west-1',
      topic: 'arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev',
      bucket: 'trigger-deploy-dev',
      trust: 'none',
      instance: 'i-1',
      state: join(directory, 'state'),
      services: {
        payments: {
          package: { type: 'jar', dir: join(directory, 'payments') },
          manager: { type: 'command', start: idle, stop: idle, status: idle },
          checks: [{ command: { run: idle } }],
        },
      },
    }),
  );
  const lines: string[] = [];
  const io = {
    by: (): string => {
      throw new Error('uv_os_get_passwd returned ENOENT');
    },
    say: (line: string) => void lines.push(line),
    tell: () => undefined,
  };
  const common = { config, verbose: false };
  expect(await runCommand({ command: 'status', json: true, offline: true, ...common }, io)).toBe(true);
  expect(JSON.parse(lines.join('\n'))).toMatchObject({
    instance: 'i-1',
    services: [{ service: 'payments' }],
  });
  const order = { command: 'rollback', service: 'payments', version: undefined, noWait: true } as const;
  await expect(runCommand({ ...order, ...common }, io)).rejects.toThrow('uv_os_get_passwd');
});
