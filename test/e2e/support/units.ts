import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceYaml } from '../../support/fleet/fleet.ts';
import { scriptJar } from '../../support/shared/zip.ts';
import type { Host } from './site.ts';

/** Services by every type of unit: a program in one file, placed as a jar and run by the perl that every Debian has. */

export type Behaviour =
  | 'good'
  /** Runs until the first connection, and ends without having accepted it. */
  | 'dies-when-asked'
  /** Ends at once. */
  | 'dies-at-once';

/** It listens at its argument, or at the socket that systemd passes, and answers with its version. */
export function programOf(version: string, behaviour: Behaviour = 'good'): string {
  return `#!/usr/bin/perl
use strict; use IO::Socket::INET; use IO::Select;
${behaviour === 'dies-at-once' ? 'die "this version cannot start";' : ''}
my $port = $ARGV[0] // 'passed';
die "no socket was passed" if $port eq 'passed' && !$ENV{LISTEN_FDS};
my $server = $port eq 'passed'
  ? IO::Socket::INET->new_from_fd(3, 'r+')
  : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 16, ReuseAddr => 1);
die "cannot listen: $!" unless $server;
my $body = '{"version":"${version}"}';
while (1) {
  IO::Select->new($server)->can_read;
  ${behaviour === 'dies-when-asked' ? 'die "this version cannot answer";' : ''}
  my $client = $server->accept or next;
  my $request = <$client>;
  print $client "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`;
}

/** Writes the program into `dir`, as what is pushed as a jar. */
export async function writeProgram(dir: string, version: string, behaviour: Behaviour = 'good') {
  await mkdir(dir, { recursive: true });
  const file = join(dir, `program-${version}.jar`);
  await writeFile(file, scriptJar(programOf(version, behaviour)));
  return file;
}

/** Writes units of systemd by file name, and reloads it. */
export async function writeUnits(host: Host, units: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(units)) await host.write(`/etc/systemd/system/${name}`, text);
  await host.ok(['systemctl', 'daemon-reload']);
}

/** The service of `name` in agent.yaml: a jar that the unit runs, checked at `port`. */
export function jarService(name: string, unit: string, port: number, deadline = '15s'): ServiceYaml {
  const url = `http://127.0.0.1:${port}/`;
  return {
    package: { type: 'jar', dir: `/opt/${name}` },
    manager: { type: 'systemd', unit },
    checks: [{ http: { url, body: '"version":"{version}"', deadline } }],
    watch: '500ms',
  };
}

/** What runs the program of `name`, with its port as the argument where it listens by itself. */
export const execStart = (name: string, port: number | '' = '') =>
  `ExecStart=/usr/bin/perl /opt/${name}/current/${name}.jar ${port}\n`;
