import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { jarText } from '../../support/shared/zip.ts';
import { sleepingService } from '../instances.ts';
import { cpuOf, memoryOf } from '../machine.ts';
import { type Measured, measure } from './measure.ts';
import type { World } from './world.ts';

/** One agent with many services. */
export interface ServicesFigures {
  services: number;
  /** From exec until it waits for announcements, ms; its CPU time so far, s. */
  readyMs: number;
  readyCpu: number;
  /** Ten seconds later, MB of 1,000,000 bytes. */
  memory: { pss: number; privateDirty: number };
  /** Requests to AWS until it is ready, and within an idle minute; CPU time of that minute, s. */
  startCalls: number;
  idleCalls: number;
  idleCpu: number;
  /** A deployment of one of the services; CPU time of the agent for it, s. */
  deployment: Measured;
  deploymentCpu: number;
}

const IDLE_MS = 60_000;

export async function measureServices(
  { directory, cloud, instances, say }: World,
  services: number,
): Promise<ServicesFigures> {
  const asked = () => cloud.requests.filter((one) => one.accessKeyId?.startsWith('session-')).length;
  const names = Array.from({ length: services }, (_, i) => `app-${i + 1}`);
  const config = names.map((name) => sleepingService(join(directory, name), name)).join('');
  const { pid, readyMs = 0 } = await instances.start(1, config);
  const [startCalls, readyCpu] = [asked(), cpuOf(pid)];
  await setTimeout(10_000);
  const memory = memoryOf(pid);
  const [before, cpuBefore] = [asked(), cpuOf(pid)];
  await setTimeout(IDLE_MS);
  const [idleCalls, idleCpu] = [asked() - before, cpuOf(pid) - cpuBefore];
  const jar = join(directory, 'app.jar');
  await writeFile(jar, jarText('1.0.0'));
  await instances.publish(['push', 'app-7', '1.0.0', jar]);
  const cpu = cpuOf(pid);
  const deployment = await measure(instances, cloud, ['app-7', '1.0.0']);
  const found = { services, readyMs: Math.round(readyMs), readyCpu, memory };
  const figures = { ...found, startCalls, idleCalls, idleCpu, deployment, deploymentCpu: cpuOf(pid) - cpu };
  say(JSON.stringify(figures));
  return figures;
}
