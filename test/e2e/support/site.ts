import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { stringify } from 'yaml';
import { agentQueueName } from '../../../shared/names.ts';
import { BUCKET, ENV, type Fleet, type ServiceYaml, startFleet } from '../../support/fleet/fleet.ts';
import { freePort } from '../../support/ports.ts';
import { createMachine, type Machine } from './machine.ts';

/**
 * A fleet of booted instances: the embedded cloud and the built publisher on this machine, and Debian instances
 * with the agent installed by dpkg. What a file of tests boots ends with `stop`, or with the process.
 */

export const AGENT_UNIT = 'trigger-deploy-agent.service';
const POLLS_WITHIN_MS = 60_000;
const AGENT_YAML = '/etc/trigger-deploy/agent.yaml';

export interface Host extends Machine {
  /** A port of this machine that is this instance's for `service`, the same at each call. */
  port(service: string): number;
  /** Writes its config; makes systemd run the agent of one that is on, and resolves when that polls its queue. */
  configure(services: Record<string, ServiceYaml>, settings?: Record<string, unknown>): Promise<void>;
  /** Resolves at the next poll of its queue that begins after this call. */
  polls(): Promise<void>;
  /** `trigger-deploy-agent …` */
  agent(...args: string[]): Promise<{ exitCode: number | null; stdout: string; output: string }>;
  /** The journal of a unit, a line a message. */
  journal(unit?: string): Promise<string[]>;
  show(unit: string, ...properties: string[]): Promise<Record<string, string>>;
}

export interface HostOptions {
  /** Made of a bare Debian, without the agent. */
  bare?: boolean;
  /** A disk to begin with. */
  image?: string;
  /** Takes over the ports, for a service that is the same. */
  like?: Host;
  /** Where it finds AWS, when not at the embedded cloud itself. */
  endpoint?: string;
}

export interface Site {
  readonly fleet: Fleet;
  readonly dir: string;
  /** Made, not booted. */
  host(id: string, options?: HostOptions): Promise<Host>;
  stop(): Promise<void>;
}

/** All instances that this file of tests made. One that is removed is off. */
export const openHosts = new Set<Host>();

export async function openSite(): Promise<Site> {
  const { root, agentLayer } = inject('e2e');
  const fleet = await startFleet();
  const hosts: Host[] = [];
  return {
    fleet,
    dir: fleet.dir,
    async host(id, options = {}) {
      const machine = await createMachine({
        id,
        dir: join(fleet.dir, 'machines', id),
        layers: options.bare ? [root] : [agentLayer, root],
        ...(options.image && { image: options.image }),
      });
      const host = hostOf(machine, fleet, { ...options, portAt: await somePorts(options.like) });
      hosts.push(host);
      openHosts.add(host);
      return host;
    },
    async stop() {
      const off = await Promise.allSettled(hosts.map((host) => host.remove()));
      await fleet.stop();
      for (const one of off) if (one.status === 'rejected') throw one.reason;
    },
  };
}

/** Ports cannot be asked for synchronously, and no instance here has more services than these. */
async function somePorts(like: Host | undefined): Promise<(index: number, service: string) => number> {
  if (like) return (_, service) => like.port(service);
  const ports = await Promise.all(Array.from({ length: 16 }, () => freePort()));
  return (index) => {
    const port = ports[index];
    if (port === undefined) throw new Error('no more ports: ask for more');
    return port;
  };
}

function hostOf(
  machine: Machine,
  fleet: Fleet,
  { portAt, endpoint }: HostOptions & { portAt: (index: number, service: string) => number },
): Host {
  const services: string[] = [];
  const queue = agentQueueName(ENV, machine.id);
  const { requests } = fleet.cloud;
  const environment = Object.entries({
    ...fleet.cloud.env(`session-${machine.id}`),
    ...(endpoint !== undefined && { AWS_ENDPOINT_URL: endpoint }),
  });
  const host: Host = Object.assign(machine, {
    port(service: string) {
      if (!services.includes(service)) services.push(service);
      return portAt(services.indexOf(service), service);
    },

    async configure(wanted: Record<string, ServiceYaml>, settings: Record<string, unknown> = {}) {
      const key = await readFile(join(fleet.dir, 'keys', 'ci.pub.json'), 'utf8');
      await host.write('/etc/trigger-deploy/keys/ci.pub.json', key);
      await host.write(
        '/etc/default/trigger-deploy-agent',
        environment.map(([name, value]) => `${name}=${value}\n`).join(''),
      );
      await host.write(
        AGENT_YAML,
        stringify({
          env: ENV,
          region: fleet.cloud.region,
          topic: fleet.topicArn,
          bucket: BUCKET,
          pathStyle: true,
          trust: { keys: ['/etc/trigger-deploy/keys/ci.pub.json'] },
          instance: host.id,
          services: wanted,
          ...settings,
        }),
      );
      if (!host.isOn()) return;
      const polling = host.polls();
      await host.enable(AGENT_UNIT);
      await host.ok(['systemctl', 'restart', AGENT_UNIT]);
      await polling;
    },

    async polls() {
      const before = new Set(requests);
      await fleet.cloud.until(
        (request) =>
          request.operation === 'ReceiveMessage' && request.queue === queue && !before.has(request),
        AbortSignal.timeout(POLLS_WITHIN_MS),
      );
    },

    agent: (...args: string[]) =>
      host.run([...['env', ...environment.map((pair) => pair.join('='))], 'trigger-deploy-agent', ...args]),

    async journal(unit = AGENT_UNIT) {
      const text = await host.ok(['journalctl', '-u', unit, '-o', 'cat', '--no-pager', '-q', '--all']);
      return text.split('\n').slice(0, -1);
    },

    async show(unit: string, ...properties: string[]) {
      const text = await host.ok(['systemctl', 'show', unit, `--property=${properties.join(',')}`]);
      const lines = text.split('\n').filter((line) => line.includes('='));
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
    },
  });
  return host;
}
