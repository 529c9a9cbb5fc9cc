import { copyFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Host } from './site.ts';

/** Deploys a file of this machine as root on the instance does: by `trigger-deploy-agent deploy`. */
export async function deployLocally(host: Host, service: string, version: string, built: string) {
  const file = `/root/new/${service}/${basename(built)}`;
  await host.write(file, '');
  await copyFile(built, host.seen(file));
  const { exitCode, output } = await host.agent('deploy', service, file, '--version', version);
  return { isDone: exitCode === 0, output };
}
