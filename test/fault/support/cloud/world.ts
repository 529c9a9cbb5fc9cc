import { GetQueueUrlCommand, PurgeQueueCommand } from '@aws-sdk/client-sqs';
import type { Artifact } from '../../../../shared/manifest.ts';
import type { Report } from '../../../../shared/report.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import type { Cloud, CloudOptions } from '../../../support/cloud/cloud.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/cloud/fault-proxy.ts';
import { type LogEntry, nextLogged } from '../../../support/fleet/agent-log.ts';
import { type Fleet, type Instance, type ServiceYaml, startFleet } from '../../../support/fleet/fleet.ts';
import { type Program, PUBLISHER } from '../../../support/programs.ts';
import { type Fields, forge, trustedKey } from '../../../support/publisher/announcements.ts';
import { changeOf, endingOf, packTar, place } from '../fleet/by-hand.ts';
import { publish } from './topic.ts';

/** A fleet whose agents reach the cloud through the fault proxy only; the publisher goes around it, or through it. */
export interface FaultWorld {
  readonly fleet: Fleet;
  readonly proxy: FaultProxy;
  addInstance(id: string, services?: (instance: Instance) => Record<string, ServiceYaml>): Promise<Instance>;
  /** Puts a version there, `padding` bytes large. */
  place(version: string, padding?: number): Promise<Artifact[]>;
  /** Announces it past the publisher, to all, with a sequence above those before; returns the ending reported. */
  deployByHand(instance: Instance, version: string, artifacts: Artifact[], change?: Fields): Promise<Report>;
  /** The publisher, its way to the cloud through the proxy. */
  publisherThrough(...args: string[]): Program;
  stop(): Promise<void>;
}

/** Above every sequence that a publisher of these tests reaches. */
const BY_HAND_FROM = 1000;

export async function startFaultWorld(
  cloud: CloudOptions = {},
  /** More of the agents' environment. */
  agentEnv: Record<string, string> = {},
): Promise<FaultWorld> {
  const throughProxy = () => ({ AWS_ENDPOINT_URL: proxy.endpoint });
  const fleet = await startFleet({ cloud, agentEnv: () => ({ ...throughProxy(), ...agentEnv }) });
  const proxy = await startFaultProxy(fleet.cloud.endpoint);
  const key = await trustedKey(fleet);
  let sequence = BY_HAND_FROM;
  return {
    fleet,
    proxy,
    addInstance: (id, services) => fleet.addInstance(id, services, { logLevel: 'debug' }),
    async place(version, padding = 0) {
      return place(fleet.cloud, version, await packTar(`${fleet.dir}/packages`, version, padding));
    },
    async deployByHand(instance, version, artifacts, change = {}) {
      sequence += 1;
      const said = changeOf({ version, sequence, artifacts, ...change });
      await publish(fleet.cloud, fleet.topicArn, forge({ key, payload: said }));
      return await endingOf(fleet.cloud, said.deployment, instance.id);
    },
    publisherThrough: (...args) =>
      fleet.start([PUBLISHER, ...args], {
        env: { ...fleet.env, ...throughProxy() },
        cwd: fleet.publisherDir,
      }),
    async stop() {
      // An agent that is to say goodbye must not wait for an answer.
      proxy.clear();
      await fleet.stop();
      await proxy.stop();
    },
  };
}

/** The agent's word, from now on, that this version runs. */
export async function nextSucceeded(instance: Instance, version: string): Promise<void> {
  await nextLogged(
    instance,
    (entry: LogEntry & { version?: string }) => entry.msg === 'succeeded' && entry.version === version,
  );
}

/** Everything in the queue is lost, as what is older than its retention. */
export async function purge(cloud: Cloud, queue: string): Promise<void> {
  const { sqs, close } = clientsOf(cloud);
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
  await sqs.send(new PurgeQueueCommand({ QueueUrl }));
  close();
}
