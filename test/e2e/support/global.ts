import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import packageJson from '../../../package.json' with { type: 'json' };
import { debian } from './debian-root.ts';
import { commandLine, inNamespaces } from './shell.ts';

/** What the tests find made: a Debian root, and a layer above it in which dpkg has installed the agent. */
export interface Made {
  root: string;
  agentLayer: string;
  /** The agent as `npm run package` built it. */
  agentDeb: string;
  lighttpd: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    e2e: Made;
  }
}

const INSTALL = `
set -eu
root=$1 dir=$2 deb=$3
mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/layer,workdir=$dir/work" "$dir/root"
mount --bind "$deb" "$dir/root/mnt"
mount -t proc proc "$dir/root/proc"
chroot "$dir/root" dpkg -i "/mnt/$4"
umount "$dir/root/mnt"
# The boot id of an instance here is a mount above /proc/sys, which these two take away: the agent would see this
# machine's, and no reboot.
mkdir "$dir/root/etc/systemd/system/trigger-deploy-agent.service.d"
printf '[Service]\\nProtectKernelTunables=no\\nProtectControlGroups=no\\n' \
  >"$dir/root/etc/systemd/system/trigger-deploy-agent.service.d/boot-id.conf"
`;

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const say = (line: string) => process.stdout.write(`e2e: ${line}\n`);
  const architecture = (await commandLine(['dpkg', '--print-architecture'])).trim();
  const file = `trigger-deploy-agent_${packageJson.version}_${architecture}.deb`;
  const dist = resolve('dist');
  for (const built of [file, 'trigger-deploy.js']) {
    if (!existsSync(join(dist, built))) throw new Error(`dist/${built} is not built: npm run e2e builds it`);
  }
  const { root, lighttpd } = await debian(say);
  const dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-e2e-'));
  try {
    for (const each of ['layer', 'work', 'root']) await mkdir(join(dir, each));
    await inNamespaces(['sh', '-c', INSTALL, 'install', root, dir, dist, file], { timeout: 120_000 });
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
  say(`instances are overlays of ${root}, with ${file} installed by dpkg`);
  project.provide('e2e', { root, lighttpd, agentLayer: join(dir, 'layer'), agentDeb: join(dist, file) });
  return () => rm(dir, { recursive: true, force: true });
}
