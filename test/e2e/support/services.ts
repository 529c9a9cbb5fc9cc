import type { ServiceYaml } from '../../support/fleet.ts';
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
# A JVM that is told to end says so by its exit code.
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

/** What `payments` or Selenium says it is, undefined when it does not answer. */
export async function versionOf(host: Host, service: 'payments' | 'selenium'): Promise<string | undefined> {
  const path = service === 'payments' ? '/' : '/wd/hub/status';
  const answer = await get(`http://127.0.0.1:${host.port(service)}${path}`);
  return /"version": ?"([^"]+)"/.exec(answer ?? '')?.[1];
}

export async function get(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}
