import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { openConsolePorts } from '../../../publisher/cli/console-ports.ts';
import type { ConsolePorts, Order, Outcome } from '../../../publisher/console/ports.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import { asTriggerDeployError, type TriggerDeployError } from '../../../shared/errors.ts';
import { notes, openStage, type Stage } from './stage.ts';

/** Command lines of the page, carried out side by side in one process over shared connections. */

export const ISSUER = 'https://acme.okta.com';
export const person = (name: string, change: Partial<Order['person']> = {}): Order['person'] => ({
  ...{ name: `${name}@acme.com`, verified: { iss: ISSUER, sub: name } },
  ...{ via: 'deploys.acme.com', groups: [], isMachine: false, ...change },
});

export interface PageRun {
  events: PublisherEvent[];
  detach: AbortController;
  ended: Promise<Outcome | TriggerDeployError>;
}

export const driven = (exitCode: number) => ({ kind: 'driven', exitCode });
export const has = (running: PageRun, type: PublisherEvent['type']) =>
  running.events.some((one) => one.type === type);
export const waiting = async (running: PageRun) =>
  await expect.poll(() => has(running, 'waiting')).toBe(true);
export const noted = (running: PageRun, text: string) =>
  expect.poll(() => notes(running.events).join('\n')).toContain(text);

/** Two environments, three versions of `payments` in each. */
export class PageStage {
  readonly #open: PageRun[] = [];
  readonly #ports: ConsolePorts[] = [];
  readonly dev: Stage;
  readonly prd: Stage;

  private constructor(dev: Stage, prd: Stage) {
    this.dev = dev;
    this.prd = prd;
  }

  static async open(): Promise<PageStage> {
    const dev = await openStage();
    const prd = await openStage({ name: 'prd', within: dev });
    for (const stage of [dev, prd]) {
      for (const version of ['1.0.0', '1.1.0', '1.2.0']) await stage.publish('payments', version);
    }
    return new PageStage(dev, prd);
  }

  /** What the console has with a config of both environments; `change` is what prd has besides. */
  async ports(change: object = {}): Promise<ConsolePorts> {
    const of = ({ env }: Stage, more: object = {}) => ({
      ...{ region: env.region, topic: env.topic, bucket: env.bucket, pathStyle: true },
      ...{ signingKey: env.signingKey, trust: [], ...more },
    });
    const file = join(this.dev.env.signingKey ?? '', '..', `config-${this.#ports.length}.yaml`);
    await writeFile(file, JSON.stringify({ environments: { dev: of(this.dev), prd: of(this.prd, change) } }));
    const ports = openConsolePorts({ cwd: tmpdir(), home: tmpdir(), variables: {}, file });
    this.#ports.push(ports);
    return ports;
  }

  async run(ports: ConsolePorts, line: string, change: Partial<Order> = {}): Promise<PageRun> {
    const events: PublisherEvent[] = [];
    const detach = new AbortController();
    const command = await ports.commandLine.parse(line.split(' '));
    const ended = ports.commandLine
      .invoke(command, {
        ...{ person: person('ann'), emit: (event) => events.push(event), confirmsEmpty: false },
        ...{ detach: detach.signal, stop: new AbortController().signal, ...change },
      })
      .catch((error: unknown) => asTriggerDeployError(error));
    const started = { events, detach, ended };
    this.#open.push(started);
    return started;
  }

  async close(): Promise<void> {
    for (const run of this.#open) run.detach.abort();
    await Promise.all(this.#open.map(({ ended }) => ended));
    for (const ports of this.#ports) ports.close();
    await this.prd.close();
    await this.dev.close();
  }
}

const SWITCHES = ['switching', 'checking', 'succeeded'] as const;
export const fleet = async (stage: Stage, ...instances: string[]) => {
  for (const instance of instances) await stage.agent(instance, () => SWITCHES, '1.0.0');
};
export const record = async (stage: Stage) =>
  (await (await stage.open()).record.deployments.newest('payments'))?.value;
export const desired = async (stage: Stage) =>
  (await (await stage.open()).record.desired.read('payments'))?.value.version;
export const idOf = async (stage: Stage) => (await record(stage))?.deployment ?? '';
