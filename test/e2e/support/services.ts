import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ServiceYaml } from '../../support/fleet/fleet.ts';
import { scriptJar } from '../../support/shared/zip.ts';
import type { Host } from './site.ts';

/** What runs on the instances: a unit of systemd, and the service as agent.yaml has it. */

const NODE = '/usr/lib/trigger-deploy-agent/node';

async function addUnit(host: Host, name: string, body: string): Promise<void> {
  const unit = `[Unit]\nDescription=${name}\n\n[Service]\n${body}\n[Install]\nWantedBy=multi-user.target\n`;
  await host.write(`/etc/systemd/system/${name}.service`, unit);
  if (host.isOn()) await host.ok(['systemctl', 'daemon-reload']);
  await host.enable(`${name}.service`);
}

/** `selenium`: a real jar under a real JVM. */
export async function selenium(host: Host): Promise<ServiceYaml> {
  const port = host.port('selenium');
  await addUnit(
    host,
    'selenium',
    `User=nobody
WorkingDirectory=/tmp
ExecStart=/usr/bin/java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar /opt/selenium/current/selenium.jar -port ${port}
# A JVM that is signalled to end says so by its exit code.
SuccessExitStatus=143
`,
  );
  const url = `http://127.0.0.1:${port}/wd/hub/status`;
  return {
    package: { type: 'jar', dir: '/opt/selenium' },
    manager: { type: 'systemd', unit: 'selenium.service' },
    checks: [{ http: { url, body: '"version": "{version}"', successes: 2, deadline: '40s' } }],
    watch: '2s',
  };
}

/** `payments`: the sample service, an archive, run by the agent's own Node. */
export async function payments(host: Host, overrides: ServiceYaml = {}): Promise<ServiceYaml> {
  const port = host.port('payments');
  await addUnit(
    host,
    'payments',
    `User=nobody
WorkingDirectory=/tmp
ExecStart=${NODE} /opt/payments/current/server.mjs ${port}
Restart=on-failure
`,
  );
  const url = `http://127.0.0.1:${port}/health`;
  return {
    package: { type: 'archive', dir: '/opt/payments' },
    manager: { type: 'systemd', unit: 'payments.service' },
    checks: [{ http: { url, body: '"version":"{version}"', successes: 2, deadline: '20s' } }],
    watch: '1s',
    ...overrides,
  };
}

/** A program in one file, as a jar is: it answers with its version, or ends as soon as it starts. */
export async function writeLedger(file: string, version: string, isGood = true): Promise<string> {
  const program = `use strict; use IO::Socket::INET;
${isGood ? '' : 'die "this version cannot start";'}
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], Listen => 16, ReuseAddr => 1) or die $!;
my $body = '{"version":"${version}"}';
while (1) {
  my $client = $server->accept or next;
  my $request = <$client>;
  print $client "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, scriptJar(program));
  return file;
}

/** `ledger`, placed as a jar; run by the perl that every Debian has. */
export async function ledger(host: Host): Promise<ServiceYaml> {
  const port = host.port('ledger');
  await addUnit(
    host,
    'ledger',
    `User=nobody\nExecStart=/usr/bin/perl /opt/ledger/current/ledger.jar ${port}\nRestart=on-failure\n`,
  );
  const url = `http://127.0.0.1:${port}/`;
  return {
    package: { type: 'jar', dir: '/opt/ledger' },
    manager: { type: 'systemd', unit: 'ledger.service' },
    checks: [{ http: { url, body: '"version":"{version}"', successes: 2, deadline: '20s' } }],
    watch: '1s',
  };
}

/** A service whose releases lie below /opt. */
export type Named = 'payments' | 'selenium' | 'ledger';

/** What a service says it is, undefined when it does not answer. */
export async function versionOf(host: Host, service: Named): Promise<string | undefined> {
  const path = service === 'selenium' ? '/wd/hub/status' : '/';
  const answer = await get(`http://127.0.0.1:${host.port(service)}${path}`);
  return /"version": ?"([^"]+)"/.exec(answer ?? '')?.[1];
}

export async function get(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}
