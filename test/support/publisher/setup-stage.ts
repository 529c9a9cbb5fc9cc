import { type InitOptions, init } from '../../../publisher/commands/init.ts';
import type { SetupPlace } from '../../../publisher/config/load-setup.ts';
import type { Step } from '../../../publisher/setup/setting.ts';
import type { Aws } from '../../../shared/aws.ts';
import { clientsOf } from '../cloud/clients.ts';
import { type Cloud, startCloud } from '../cloud/cloud.ts';
import type { RequestRecord } from '../cloud/requests.ts';

/** `init` in this process, with real clients of the SDK against an embedded cloud of its own. */

export const BUCKET = 'acme-deploys-dev';

export interface SetupStage {
  readonly cloud: Cloud;
  readonly place: SetupPlace;
  readonly topic: string;
  /** Runs `init --yes` and returns its steps, its exit code, and what it asked the cloud. */
  run(more?: Partial<InitOptions>): Promise<SetupRun>;
  stop(): Promise<void>;
}

export interface SetupRun {
  readonly steps: readonly Step[];
  readonly exitCode: number;
  readonly yaml: string | undefined;
  readonly requests: readonly RequestRecord[];
  /** The operations that change something, in their order. */
  readonly writes: readonly string[];
  /** `changed bucket acme-deploys-dev, versioning`, without those that were right. */
  readonly said: readonly string[];
}

export const isWrite = ({ operation }: Pick<RequestRecord, 'operation'>) =>
  !/^(Get|Head|List)/.test(operation);

export async function openSetup(region = 'eu-west-1'): Promise<SetupStage> {
  const cloud = await startCloud({ region });
  const clients = clientsOf(cloud, 'operator', 3);
  const settings = {
    ...{ region, endpoint: cloud.endpoint, maxAttempts: 3 },
    credentials: { accessKeyId: 'operator', secretAccessKey: 'embedded-cloud' },
  };
  const limited = <C extends object>(client: C) => client;
  const aws: Aws = { ...clients, settings, limited, now: Date.now, within: () => aws };
  const place: SetupPlace = {
    ...{ env: 'dev', region, bucket: BUCKET, account: undefined, profile: undefined, role: undefined },
    ...{ pathStyle: true, events: undefined, signingKey: undefined, places: undefined, uses: [] },
    ...{ isConfigured: true, file: undefined },
  };
  return {
    cloud,
    place,
    topic: `arn:aws:sns:${region}:000000000000:trigger-deploy-dev`,
    async run(more = {}) {
      const before = cloud.requests.length;
      const steps: Step[] = [];
      const answer = await init(aws, {
        ...{ place, events: false, isDryRun: false, isYes: true, ask: undefined },
        signal: new AbortController().signal,
        tell: (step) => void steps.push(step),
        plan: () => undefined,
        ...more,
      });
      const requests = cloud.requests.slice(before);
      return {
        ...{ steps, requests, exitCode: answer.exitCode, yaml: answer.yaml },
        writes: requests.filter(isWrite).map(({ operation }) => operation),
        said: steps
          .filter(({ state }) => state !== 'ok')
          .map(({ state, thing, what }) => [state, [thing, what].filter(Boolean).join(', ')].join(' ')),
      };
    },
    async stop() {
      clients.close();
      await cloud.stop();
    },
  };
}
