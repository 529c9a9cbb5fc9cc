import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes the config of an agent with one service into `dir`, below which everything else is, too; its path. */
export async function writeMinimalConfig(dir: string): Promise<string> {
  const config = join(dir, 'agent.yaml');
  await writeFile(
    config,
    `env: dev
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
trust: none
state: ${join(dir, 'state')}
services:
  payments:
    package: { type: jar, dir: ${join(dir, 'payments')} }
    manager: { type: systemd, unit: payments.service }
`,
  );
  return config;
}
