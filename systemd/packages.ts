import { join } from 'node:path';
import { execa } from 'execa';
import { completedCommands } from '../publisher/cli/completed-commands.ts';
import { VERBS } from '../publisher/cli/verbs.ts';
import { completion } from '../publisher/commands/completion.ts';
import { bundle } from './bundle.ts';
import { buildDeb } from './deb.ts';
import { manualCommands } from './manual-commands.ts';
import { type Architecture, nodeDirectory } from './node-binary.ts';
import { copy, EPOCH, manualPage, type Tree, template, text, writeTree } from './tree.ts';

/** The contents of the packages. */

export interface PackageOptions {
  version: string;
  architecture: Architecture;
  /** The directory for the finished package. */
  out: string;
  /** An empty directory to work in. */
  directory: string;
}

/** Packages that the Node binary depends on. The minimum versions follow from the symbol versions in the binary. */
const NODE_DEPENDS = 'libc6 (>= 2.28), libgcc-s1 (>= 3.4) | libgcc1, libstdc++6 (>= 5.2)';
/** The architecture names of Node's releases, used in the name of the tarball. */
const MACHINES = { amd64: 'x64', arm64: 'arm64' } as const;

/** For each kind of package, a function that makes it and resolves to its path. */
export const PACKAGES = {
  agent: async ({ version, architecture, out, directory }: PackageOptions): Promise<string> => {
    const file = join(out, `trigger-deploy-agent_${version}_${architecture}.deb`);
    const script = (name: string) => template(`systemd/agent/${name}`, version, 0o755);
    await buildDeb(
      file,
      await agentTree(version, architecture, directory),
      {
        name: 'trigger-deploy-agent',
        version,
        architecture,
        section: 'admin',
        depends: NODE_DEPENDS,
        recommends: 'systemd',
        conffiles: ['/etc/trigger-deploy/agent.yaml'],
        scripts: {
          postinst: await script('postinst'),
          prerm: await script('prerm'),
          postrm: await script('postrm'),
        },
        description: `deploys announced versions of the services of this instance
The agent of trigger-deploy receives signed announcements from its own SQS
queue, downloads the version from S3, switches to it, restarts the service,
checks its health and reports the result. If the new version fails, it rolls
back. The package includes its own Node.
.
The agent does not start until /etc/trigger-deploy/agent.yaml is written and
trigger-deploy-agent.service is enabled.`,
      },
      join(directory, 'tree'),
    );
    return file;
  },

  publisher: async ({ version, architecture, out, directory }: PackageOptions): Promise<string> => {
    const file = join(out, `trigger-deploy_${version}_${architecture}.deb`);
    await buildDeb(
      file,
      new Map([...(await programTree('publisher', version, architecture, directory)), ...completionFiles()]),
      {
        name: 'trigger-deploy',
        version,
        architecture,
        section: 'admin',
        depends: NODE_DEPENDS,
        recommends: 'ca-certificates',
        scripts: {
          postinst: await template('systemd/publisher/postinst', version, 0o755),
          prerm: await template('systemd/publisher/prerm', version, 0o755),
        },
        description: `deploys new versions to long-lived EC2 instances
The publisher of trigger-deploy pushes versions to S3, announces deployments
over SNS, follows them on every instance and records the result. The package
includes its own Node.`,
      },
      join(directory, 'tree'),
    );
    return file;
  },

  /** The agent for distributions without dpkg: the files of its .deb, and a script that installs them. */
  tarball: async ({ version, architecture, out, directory }: PackageOptions): Promise<string> => {
    const name = `trigger-deploy-agent-${version}-linux-${MACHINES[architecture]}`;
    const file = join(out, `${name}.tar.gz`);
    const tree: Tree = new Map([
      [`/${name}/install.sh`, await template('systemd/agent/install.sh', version, 0o755)],
      ...[...(await agentTree(version, architecture, directory))].map(
        ([path, entry]) => [`/${name}/files${path}`, entry] as const,
      ),
    ]);
    const root = join(directory, 'tree');
    await writeTree(tree, root);
    const owner = ['--owner=0', '--group=0', '--numeric-owner'];
    const order = ['--sort=name', `--mtime=@${EPOCH}`, '--format=gnu'];
    await execa('tar', ['-I', 'gzip -n -4', '-C', root, ...owner, ...order, '-cf', file, name], {
      env: { LC_ALL: 'C.UTF-8' },
      stdin: 'ignore',
    });
    return file;
  },
} satisfies Record<string, (options: PackageOptions) => Promise<string>>;
export type PackageKind = keyof typeof PACKAGES;

async function agentTree(version: string, architecture: Architecture, directory: string): Promise<Tree> {
  const own = '/usr/lib/trigger-deploy-agent';
  return new Map([
    ...(await programTree('agent', version, architecture, directory)),
    ['/etc/trigger-deploy/agent.yaml', copy('systemd/agent/agent.yaml')],
    [
      '/usr/lib/systemd/system/trigger-deploy-agent.service',
      copy('systemd/agent/trigger-deploy-agent.service'),
    ],
    [`${own}/self-update`, copy('systemd/agent/self-update', 0o755)],
    [`${own}/agent.example.yaml`, copy('systemd/agent.example.yaml')],
    [`${own}/unprivileged/unprivileged.conf`, copy('systemd/agent/unprivileged.conf')],
    [
      `${own}/unprivileged/50-trigger-deploy-agent.rules`,
      copy('systemd/agent/50-trigger-deploy-agent.rules'),
    ],
  ]);
}

/** The files that each program has: Node, the bundle (bundle.ts), a command, a manual page, the changelog, the licences. */
async function programTree(
  kind: 'agent' | 'publisher',
  version: string,
  architecture: Architecture,
  directory: string,
): Promise<Tree> {
  const name = kind === 'agent' ? 'trigger-deploy-agent' : 'trigger-deploy';
  const page = kind === 'agent' ? `${name}.8` : `${name}.1`;
  const node = await nodeDirectory(architecture);
  const built = join(directory, 'bundle');
  await bundle(name, { directory: built, version, sourcemap: false });
  const bundled = (file: string) =>
    [`/usr/lib/${name}/${file}`, { mode: 0o644, content: { copyOf: join(built, file) } }] as const;
  return new Map([
    [`/usr/lib/${name}/node`, { mode: 0o755, content: { copyOf: join(node, 'bin/node') } }],
    ...[`${name}.js`, `${name}.chunks`, `${name}.compile.js`, 'package.json'].map(bundled),
    [`/usr/bin/${name}`, await template(`systemd/${kind}/${name}`, version, 0o755)],
    [
      `/usr/share/man/man${page.slice(-1)}/${page}.gz`,
      await manualPage(`systemd/${kind}/${page}`, version, manualCommands()),
    ],
    [`/usr/share/doc/${name}/copyright`, copy('systemd/copyright')],
    [`/usr/share/doc/${name}/changelog.gz`, await manualPage('CHANGELOG.md', version)],
    [`/usr/share/doc/${name}/LICENSE.node`, { mode: 0o644, content: { copyOf: join(node, 'LICENSE') } }],
  ]);
}

/** The completion scripts, at the paths where bash-completion and Debian's zsh look for them. */
function completionFiles(): Tree {
  const commands = completedCommands(VERBS);
  return new Map([
    ['/usr/share/bash-completion/completions/trigger-deploy', text(completion('bash', commands))],
    ['/usr/share/zsh/vendor-completions/_trigger-deploy', text(completion('zsh', commands))],
  ]);
}
