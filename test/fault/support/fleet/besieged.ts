import { readFileSync } from 'node:fs';
import { agentQueueName } from '../../../../shared/names.ts';
import { instanceKey } from '../../../support/cloud/sqs.ts';
import { push } from '../../../support/commands.ts';
import { ENV, type Instance } from '../../../support/fleet/fleet.ts';
import { trustedKey } from '../../../support/publisher/announcements.ts';
import type { Key } from '../cloud/hostile.ts';
import { type FaultWorld, startFaultWorld } from '../cloud/world.ts';
import { changeOf, cheapServices, drained } from './by-hand.ts';
import { tidiedUp } from './settled.ts';

/** An agent program whose queue gets hostile messages. */
export interface Besieged {
  readonly world: FaultWorld;
  readonly instance: Instance;
  readonly key: Key;
  /** An announcement that would deploy `1.1.0`. */
  valid(): ReturnType<typeof changeOf>;
  /** Puts them all into the queue; resolves when the agent is through with them. */
  send(texts: readonly string[]): Promise<void>;
  /** How many the agent says it has refused. */
  refused(): number;
  /** Objects the agent has written. */
  written(): number;
  /** Of the agent's process: what lies in memory now, bytes. */
  memory(): number;
}

/**
 * V8 lets a heap grow as long as there is memory; in a small one, what is kept that should not be is seen soon: it
 * shows in the process's memory, and in the end the agent dies of it.
 */
const SMALL_HEAP = '--max-old-space-size=64 --max-semi-space-size=2'; // MiB
/** Growth that is none, once the agent is warm; ten thousand hostile messages are 60 MiB. Bytes. */
export const FLAT = 32 * 1024 * 1024;

/** `1.0.0` runs, `1.1.0` is pushed. */
export async function startBesieged(): Promise<Besieged> {
  const world = await startFaultWorld({}, { NODE_OPTIONS: SMALL_HEAP });
  const { fleet, proxy } = world;
  const instance = await fleet.addInstance('i-0a1', cheapServices);
  await push(fleet, '1.0.0');
  const deployed = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  if (deployed.code !== 0) throw new Error(deployed.stdout + deployed.stderr);
  await tidiedUp({ fleet, instance, name: 'payments' });
  const artifacts = await world.place('1.1.0');
  const key = await trustedKey(fleet);
  const deletions = proxy.meet({ kind: 'pass' }, ({ operation }) => operation === 'DeleteMessage');
  return {
    world,
    instance,
    key,
    valid: () => changeOf({ version: '1.1.0', sequence: 2, artifacts }),
    async send(texts) {
      const through = deletions.met + texts.length;
      for (const text of texts) fleet.cloud.sendRaw(agentQueueName(ENV, instance.id), text, 'mallory');
      await deletions.reached(through);
      await drained(fleet.cloud, instance.id);
    },
    refused() {
      const log = instance.agent?.stdout() ?? '';
      return Number(/"refused":(\d+)/.exec(log.slice(log.lastIndexOf('"refused":')))?.[1] ?? 0);
    },
    written: () =>
      fleet.cloud.requests.filter(
        ({ operation, accessKeyId }) => operation === 'PutObject' && accessKeyId === instanceKey(instance.id),
      ).length,
    memory() {
      const status = readFileSync(`/proc/${instance.agent?.process.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    },
  };
}
