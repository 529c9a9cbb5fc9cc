import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { type Announcement, announcement, type ChangeAnnouncement } from '../../../shared/announcement.ts';
import { agentQueueName, keys, USERID_TAG } from '../../../shared/names.ts';
import type { InstanceRecord, Report } from '../../../shared/report.ts';
import type { Verifier } from '../../../shared/signing.ts';
import { isEnding, type State } from '../../../shared/states.ts';
import { type Clients, clientsOf } from '../cloud/clients.ts';
import type { Cloud } from '../cloud/cloud.ts';
import { instanceKey, userIdOf } from '../cloud/sqs.ts';

/** What an agent says to an announcement, state by state; an error code may come with the ending. */
export type Script = (
  order: ChangeAnnouncement,
) => readonly (State | { state: State; code: string })[] | Promise<readonly State[]>;

const succeeds: Script = () => ['accepted', 'preparing', 'switching', 'checking', 'succeeded'];

interface FakeAgentOptions {
  cloud: Cloud;
  bucket: string;
  topic: string;
  verifier: Verifier;
  instance: string;
  /** The environment; dev when left out. */
  env?: string | undefined;
  running: string | null;
  script?: Script | undefined;
  /** It cannot prepare anything. */
  unprepared?: boolean;
  zone?: string | undefined;
  tags?: Record<string, string> | undefined;
  notice?: InstanceRecord['notice'];
}

/** Speaks as an agent does: its queue, the topic, the reply queue and the record; it deploys nothing. */
export class FakeAgent {
  readonly heard: Announcement[] = [];
  readonly #options: FakeAgentOptions;
  readonly #clients: Clients;
  readonly #gone = new AbortController();
  /** The state of each deployment on this instance. */
  readonly #states = new Map<string, State>();
  #listening: Promise<void> = Promise.resolve();

  constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.#clients = clientsOf(options.cloud, instanceKey(options.instance));
  }

  get #env(): string {
    return this.#options.env ?? 'dev';
  }

  get instance(): string {
    return this.#options.instance;
  }

  /** What its answers to a roll call say instead of its record. */
  underWay: Partial<InstanceRecord> = {};

  /** The kids that it says it trusts; it says nothing when undefined. */
  trusts: string[] | undefined;

  async join(): Promise<void> {
    const { topic, instance } = this.#options;
    const { sqs, sns } = this.#clients;
    const name = agentQueueName(this.#env, instance);
    const tags = { [USERID_TAG]: userIdOf(instance) };
    const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name, tags }));
    const Endpoint = topic.replace(':sns:', ':sqs:').replace(/[^:]+$/, name);
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: Endpoint,
          Condition: { ArnEquals: { 'aws:SourceArn': topic } },
        },
      ],
    });
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
    const Attributes = { RawMessageDelivery: 'true' };
    await sns.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'sqs', Endpoint, Attributes }));
    this.record('payments');
    this.#listening = this.#listen(QueueUrl);
  }

  async leave(): Promise<void> {
    this.#gone.abort();
    await this.#listening;
    this.#clients.close();
  }

  /** Puts the instance record. */
  record(service: string): InstanceRecord {
    const { cloud, bucket, instance, running, zone, tags, notice } = this.#options;
    const at = new Date().toISOString();
    const about = { v: 1, env: this.#env, service, instance, version: running } as const;
    const more = { pinned: false, agentVersion: '0.1.0', trusts: this.trusts, at };
    const record = { ...about, zone, tags, notice, sequence: 0, ...more };
    cloud.putObject(bucket, keys.instance(this.#env, service, userIdOf(instance)), JSON.stringify(record));
    return record;
  }

  async #listen(QueueUrl: string): Promise<void> {
    const { sqs } = this.#clients;
    const abortSignal = this.#gone.signal;
    while (!abortSignal.aborted) {
      try {
        const command = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20, MaxNumberOfMessages: 1 });
        const { Messages = [] } = await sqs.send(command, { abortSignal });
        for (const { Body = '', ReceiptHandle } of Messages) {
          await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
          const said = await this.#options.verifier.verify('td-announcement+jws', Body, announcement);
          this.heard.push(said);
          // Not awaited: a cancel or a newer announcement is heard meanwhile.
          if (said.targets !== undefined && !said.targets.includes(this.#options.instance)) continue;
          if (said.kind === 'prepare') this.#prepare(said);
          if (said.kind === 'deploy') void this.#play(said);
          if (said.kind === 'roll-call') this.#answer(said);
        }
      } catch (error) {
        if (!abortSignal.aborted) throw error;
      }
    }
  }

  /** A script that ends with anything but a switch is one that cannot prepare. */
  #prepare(order: ChangeAnnouncement): void {
    const state = this.#states.get(order.deployment);
    if (state !== undefined) {
      this.say(order, state, 90);
      return;
    }
    this.#states.set(order.deployment, 'prepared');
    for (const [n, state] of (['accepted', 'preparing', 'prepared'] as const).entries()) {
      if (!this.#options.unprepared) this.say(order, state, n);
      else if (n < 2) this.say(order, (['accepted', 'failed'] as const)[n] ?? 'failed', n, 'NO_SPACE');
    }
  }

  async #play(order: ChangeAnnouncement): Promise<void> {
    const script = this.#options.script ?? succeeds;
    const state = this.#states.get(order.deployment);
    // A repeated announcement is answered with the current state.
    if (state !== undefined && state !== 'prepared') {
      this.say(order, state, 99);
      return;
    }
    let n = state === 'prepared' ? 10 : 0;
    for (const line of await script(order)) {
      const { state, code } = typeof line === 'string' ? { state: line, code: undefined } : line;
      this.#states.set(order.deployment, state);
      if (state === 'succeeded') this.#options.running = order.version;
      this.say(order, state, n, code);
      n += 1;
    }
  }

  /** Sends one report: to the record (`accepted`, `prepared` in waves, the ending) and to the reply queue. */
  say(order: ChangeAnnouncement, state: State, n: number, code?: string): void {
    const { cloud, bucket, instance } = this.#options;
    const { deployment, service, version, sequence } = order;
    const report: Report = {
      ...{ kind: 'report', v: 1, env: this.#env, deployment, service, instance, sequence, n, state, version },
      at: new Date().toISOString(),
      timings: {},
      ...(code === undefined ? {} : { error: { code, message: `${code} happened` } }),
    };
    const text = JSON.stringify(report);
    if (state === 'accepted' || state === 'prepared' || isEnding(state)) {
      cloud.putObject(bucket, keys.report(this.#env, service, deployment, userIdOf(instance)), text);
    }
    this.#reply(order, text);
  }

  #answer(order: Announcement): void {
    const { instance } = this.#options;
    const about = { kind: 'roll-call', v: 1, rollCall: order.deployment, env: this.#env, instance } as const;
    const services = [{ ...this.record('payments'), ...this.underWay }];
    const at = new Date().toISOString();
    this.#reply(order, JSON.stringify({ ...about, agentVersion: '0.1.0', at, services }));
  }

  #reply(order: Announcement, text: string): void {
    const { cloud, instance } = this.#options;
    if (order.replyTo === undefined || !cloud.queues().includes(order.replyTo)) return;
    cloud.sendRaw(order.replyTo, text, instanceKey(instance));
  }
}
