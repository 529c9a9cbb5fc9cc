import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Real Debian packages, built by dpkg-deb in a moment. */

export interface DebContent {
  name: string;
  /** With an epoch, if it has one. */
  version: string;
  /** `all` when left out. */
  architecture?: string;
  /** More of the control file: `Depends`, `Installed-Size`. */
  control?: Readonly<Record<string, string>>;
  /** By absolute path; a script is executable. */
  files?: Readonly<Record<string, string>>;
  /** Which of the files are conffiles. */
  conffiles?: readonly string[];
  /** Bodies of shell scripts. */
  scripts?: Partial<Record<'preinst' | 'postinst' | 'prerm' | 'postrm', string>>;
}

/** Writes `NAME_VERSION_ARCHITECTURE.deb` into `dir`; its path. */
export async function buildDeb(dir: string, content: DebContent): Promise<string> {
  const {
    name,
    version,
    architecture = 'all',
    control = {},
    files = {},
    conffiles = [],
    scripts = {},
  } = content;
  await mkdir(dir, { recursive: true });
  const root = await mkdtemp(join(dir, '.deb-'));
  await chmod(root, 0o755);
  const put = async (path: string, text: string) => {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, text.startsWith('#!') ? 0o755 : 0o644);
  };
  const fields = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: 'trigger-deploy <nobody@example.invalid>',
    Description: `${name}, made for a test`,
    ...control,
  };
  await put(
    'DEBIAN/control',
    Object.entries(fields)
      .map(([field, value]) => `${field}: ${value}\n`)
      .join(''),
  );
  if (conffiles.length > 0) await put('DEBIAN/conffiles', conffiles.map((path) => `${path}\n`).join(''));
  for (const [script, body] of Object.entries(scripts)) {
    await put(`DEBIAN/${script}`, `#!/bin/sh\nset -e\n${body}\n`);
  }
  for (const [path, text] of Object.entries(files)) await put(path, text);
  const file = join(dir, `${name}_${version.replace(/^\d+:/, '')}_${architecture}.deb`);
  // The same content is the same bytes, whenever it is built.
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1700000000' };
  await promisify(execFile)('dpkg-deb', ['--build', '--root-owner-group', '-Zgzip', root, file], { env });
  await rm(root, { recursive: true });
  return file;
}

export interface ServerBehaviour {
  port: number;
  /** What `/health` answers with; 200 when left out. */
  healthStatus?: number;
  control?: Readonly<Record<string, string>>;
  /** The text of its conffile, `/etc/NAME.conf`. */
  conf?: string;
  /** Added to what a package of Debian's does: `postinst` runs before the unit is started. */
  scripts?: DebContent['scripts'];
  /** No maintainer script starts or stops the unit. */
  leavesUnitAlone?: boolean;
}

/**
 * A server as a Debian package: `NAME.service`, a conffile, maintainer scripts that stop and start the unit. It is
 * perl, which every Debian has, and answers with its version (without epoch) and its conffile at any path.
 * @public
 */
export function serverDeb(name: string, version: string, behaviour: ServerBehaviour): DebContent {
  const {
    port,
    healthStatus = 200,
    control,
    conf = `# ${name}\n`,
    scripts = {},
    leavesUnitAlone,
  } = behaviour;
  const systemd = (verb: string) =>
    leavesUnitAlone ? '' : `if [ -d /run/systemd/system ]; then systemctl ${verb}; fi`;
  const restart = `${systemd('daemon-reload')}\n${systemd(`restart ${name}.service`)}`;
  return {
    name,
    version,
    ...(control && { control }),
    files: {
      [`/usr/lib/${name}/server`]: serverSource(name, version.replace(/^\d+:/, ''), port, healthStatus),
      [`/usr/lib/systemd/system/${name}.service`]: `[Unit]
Description=${name} ${version}

[Service]
ExecStart=/usr/lib/${name}/server

[Install]
WantedBy=multi-user.target
`,
      [`/etc/${name}.conf`]: conf,
    },
    conffiles: [`/etc/${name}.conf`],
    scripts: {
      ...scripts,
      postinst: `${scripts.postinst ?? ''}\n${restart}`,
      prerm: `${scripts.prerm ?? ''}\nif [ "$1" = remove ]; then ${systemd(`stop ${name}.service`) || ':'}; fi`,
    },
  };
}

function serverSource(name: string, version: string, port: number, health: number): string {
  return `#!/usr/bin/perl
use strict;
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => ${port}, Listen => 16, ReuseAddr => 1)
  or die "cannot listen on ${port}: $!";
while (1) {
  my $client = $server->accept or next;
  my $request = <$client>;
  open(my $file, '<', '/etc/${name}.conf');
  my $conf = $file ? join('', <$file>) : 'none';
  $conf =~ s/[^ -~]//g;
  my $body = '{"version":"${version}","conf":"' . $conf . '"}';
  my $status = $request =~ m{ /health } ? ${health} : 200;
  print $client "HTTP/1.1 $status X\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`;
}
