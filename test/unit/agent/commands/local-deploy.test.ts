import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DeployableService, OrderSpool } from '../../../../agent/commands/deps.ts';
import { deploy } from '../../../../agent/commands/local-deploy.ts';
import { temporaryDirectory } from '../../../support/host/temporary.ts';

/** Deploys files of these names, each with mode 0640; resolves to what the agent was ordered to deploy. */
async function ordered(...names: string[]) {
  const dir = await temporaryDirectory();
  const files = names.map((name) => join(dir, name));
  for (const file of files) {
    await writeFile(file, 'bytes');
    await chmod(file, 0o640);
  }
  const given: unknown[] = [];
  const orders: OrderSpool = {
    async give(order, what) {
      given.push('files' in what ? what.files.map(({ file: _, ...given }) => given) : what);
      return { ...order, v: 1, artifacts: [] };
    },
    pathOf: (deployment) => deployment,
  };
  const service = {
    name: 'payments',
    state: async () => undefined,
    package: { current: async () => null, releases: async () => [], versionOf: async () => '1.0.0' },
  } as DeployableService;
  const deps = {
    services: [service],
    orders,
    identify: async () => ({
      instance: 'i-1',
      env: 'dev',
      zone: 'eu-west-1a',
      agentVersion: '0.1.0',
      tags: {},
    }),
    runningAgent: async () => undefined,
  };
  const request = { service: 'payments', version: undefined, noWait: true, by: 'root', say: () => {}, files };
  expect(await deploy(deps, request)).toBe(true);
  return given;
}

test('a local deploy orders each file once: the package, then config files with the mode they have here', async () => {
  expect(await ordered('payments-1.0.0.jar', 'app.yaml')).toEqual([
    [
      { name: 'payments-1.0.0.jar', size: 5, role: 'package' },
      { name: 'app.yaml', size: 5, role: 'config', mode: 0o640 },
    ],
  ]);
});

test('several .deb files of a local deploy are all packages, and have no mode', async () => {
  expect(await ordered('payments_1.0.0_amd64.deb', 'libpayments_1.0.0_amd64.deb')).toEqual([
    [
      { name: 'payments_1.0.0_amd64.deb', size: 5, role: 'package' },
      { name: 'libpayments_1.0.0_amd64.deb', size: 5, role: 'package' },
    ],
  ]);
});
