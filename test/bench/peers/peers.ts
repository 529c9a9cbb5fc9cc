import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Peer } from './peer.ts';
import { openTriggerDeploy } from './trigger-deploy.ts';
import type { World } from './world.ts';

/** The tools that are compared. */

export const PEERS = ['floor', 'clush', 'ansible', 'trigger-deploy'] as const;
export type PeerName = (typeof PEERS)[number];

export async function openPeer(name: PeerName, world: World): Promise<Peer> {
  const { root, env } = world;
  switch (name) {
    case 'floor':
      return {
        name,
        command: (hosts, version) => ({
          argv: [join(root, 'bin/floor'), String(hosts), version],
          env,
          cwd: root,
        }),
      };
    case 'clush':
      return {
        name,
        // One cold connection to each host, all at the same time.
        command: (hosts, version) => ({
          argv: [
            ...(['clush', '-q', '-S', '-f', String(hosts), '-o', `-F ${root}/ssh/config`] as const),
            ...(['-w', `bench[1-${hosts}]`, `exec ${root}/bin/host-deploy $BENCH_HOST ${version}`] as const),
          ],
          env,
          cwd: root,
        }),
      };
    case 'ansible':
      return await openAnsible(world);
    case 'trigger-deploy':
      return await openTriggerDeploy(world);
  }
}

/** Pipelining, no facts, a fixed interpreter, and connections that are open before the clock starts. */
async function openAnsible({ root, env, hosts: all }: World): Promise<Peer> {
  const directory = join(root, 'ansible');
  const sockets = join(directory, 'sockets');
  const source = join(import.meta.dirname, 'ansible');
  await mkdir(sockets);
  await copyFile(join(source, 'ansible.cfg'), join(directory, 'ansible.cfg'));
  const line = (host: number) =>
    `bench${host} bench_host=${host} ansible_ssh_common_args='-F ${root}/ssh/config'\n`;
  const inventory = (hosts: number) => join(directory, `hosts-${hosts}`);
  for (let hosts = 1; hosts <= all; hosts += 1)
    await writeFile(inventory(hosts), Array.from({ length: hosts }, (_, i) => line(i + 1)).join(''));
  const own = {
    ...env,
    ANSIBLE_CONFIG: join(directory, 'ansible.cfg'),
    ANSIBLE_HOME: directory,
    ANSIBLE_SSH_CONTROL_PATH_DIR: sockets,
  };
  const variables = (version: string) =>
    [
      `version=${version}`,
      `bench_root=${root}`,
      `bench_http=${env.BENCH_HTTP}`,
      `bench_base_port=${env.BENCH_BASE_PORT}`,
    ].join(' ');
  return {
    name: 'ansible',
    command: (hosts, version) => ({
      argv: [
        ...(['ansible-playbook', '-i', inventory(hosts), '-f', String(hosts)] as const),
        ...(['-e', variables(version), join(source, 'deploy.yml')] as const),
      ],
      env: own,
      cwd: root,
    }),
    async prepare(hosts) {
      if (readdirSync(sockets).length >= hosts) return;
      const argv = ['all', '-i', inventory(hosts), '-f', String(hosts), '-m', 'raw', '-a', 'true'];
      execFileSync('ansible', argv, { env: own, stdio: 'ignore' });
    },
    async stop() {
      if (!existsSync(sockets)) return;
      for (const socket of readdirSync(sockets))
        execFileSync(
          'ssh',
          [
            '-F',
            join(root, 'ssh/config'),
            '-o',
            `ControlPath=${join(sockets, socket)}`,
            '-O',
            'exit',
            'bench1',
          ],
          {
            env,
            stdio: 'ignore',
          },
        );
    },
  };
}
