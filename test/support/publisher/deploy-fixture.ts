import { afterEach, beforeEach, expect } from 'vitest';
import { type DeployOptions, deploy } from '../../../publisher/commands/deploy.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import type { DeploymentRecord } from '../../../publisher/record/deployment-schema.ts';
import { keys } from '../../../shared/names.ts';
import type { FakeAgent, Script } from './fake-agent.ts';
import { never, openStage, type Stage } from './stage.ts';

/** Open while a test runs whose file calls `openStageForEach`; 1.0.0 and 1.1.0 are published. */
export let stage: Stage;
export function openStageForEach(): void {
  beforeEach(async () => {
    stage = await openStage();
    await stage.publish('payments', '1.0.0');
    await stage.publish('payments', '1.1.0');
  });
  afterEach(async () => await stage.close());
}

export const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  service: 'payments',
  version: '1.1.0',
  wait: true,
  timeoutMs: 60_000,
  allowMissing: 0,
  maxFailures: 0,
  onFailure: 'rollback',
  strategy: { name: 'all' } as const,
  detach: never(),
  ...change,
});

export const settled = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => (event.type === 'settled' ? [event] : []));
export const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;
export const records = async (): Promise<DeploymentRecord[]> =>
  await (await stage.open()).record.deployments.list('payments', 10);
export const lockOwner = () => stage.json(keys.lock('dev', 'payments'))?.owner;
export const replyQueues = () => stage.cloud.queues().filter((name) => name.includes('-reply-'));
export const deploysHeard = (agent: FakeAgent) =>
  agent.heard.flatMap((said) => (said.kind === 'deploy' ? [[said.version, said.action]] : []));

/** 1.0.0 is what everyone runs and should run. */
export async function deployed(...scripts: (Script | undefined)[]): Promise<FakeAgent[]> {
  const agents: FakeAgent[] = [];
  for (const [index, script] of scripts.entries()) {
    const either: Script = (order) =>
      order.version === '1.0.0' || script === undefined ? ['accepted', 'succeeded'] : script(order);
    agents.push(await stage.agent(`i-${index + 1}`, either));
  }
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
  return agents;
}
