import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openConsolePorts } from '../../../../publisher/cli/console-ports.ts';

it('a config that is being edited changes nothing for a console that runs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'console-ports-'));
  const file = join(directory, 'trigger-deploy.yaml');
  const env = {
    region: 'eu-west-1',
    topic: 'arn:aws:sns:eu-west-1:111122223333:trigger-deploy-dev',
    bucket: 'deploys-dev',
    signingKey: 'ci.key.json',
  };
  await writeFile(file, JSON.stringify({ environments: { dev: env } }));
  const { environments, commandLine, close } = openConsolePorts({
    ...{ cwd: directory, home: directory, variables: {}, file },
  });
  try {
    const before = [await environments.names(), await environments.load('dev')];
    await writeFile(file, 'environments: {');
    expect([await environments.names(), await environments.load('dev')]).toEqual(before);
    expect(await commandLine.parse(['payments', '1.4.2', '--env=dev'])).toMatchObject({ verb: 'deploy' });
  } finally {
    close();
    await rm(directory, { recursive: true });
  }
});
