import { formatMs } from './duration.ts';
import { isCode, messageOf } from './errors.ts';
import { deadline } from './retry.ts';

/** Whether a service of AWS answers from here, and what to look at when it does not. */

/** The services that the programs call, by their names for people: the name in `com.amazonaws.REGION.NAME`. */
const NAMES = {
  STS: 'sts',
  SNS: 'sns',
  SQS: 'sqs',
  S3: 's3',
  KMS: 'kms',
  EC2: 'ec2',
  CloudWatch: 'monitoring',
  'Auto Scaling': 'autoscaling',
  'Elastic Load Balancing': 'elasticloadbalancing',
} as const;
export type AwsService = keyof typeof NAMES;

/** What is left of an answer's time until it counts as slow, ms, and how long it is waited for. */
const SLOW_MS = 2000;
const WITHIN_MS = 10_000;

/**
 * `slow` and `down` with the reason; `answers` also where the service refuses the request: what was thrown is then `error`,
 * and says more than that it answers.
 */
export interface Reach {
  state: 'answers' | 'slow' | 'down';
  what: string;
  hint?: string | undefined;
  error?: unknown;
}

/**
 * Calls `ask`, which throws errors as TriggerDeployError, and tells whether the service answered, and in time.
 * @throws only the reason of `signal`.
 */
export async function reach(
  service: AwsService,
  region: string,
  { signal, now = () => performance.now() }: { signal: AbortSignal; now?: () => number },
  ask: (signal: AbortSignal) => Promise<unknown>,
): Promise<Reach> {
  using limit = deadline(WITHIN_MS, signal, `the answer of ${service}`);
  const from = now();
  let error: unknown;
  try {
    await ask(limit.signal);
  } catch (thrown) {
    signal.throwIfAborted();
    error = thrown;
  }
  const hint = hintOf(service, region);
  if (isCode(error, 'AWS_UNREACHABLE', 'TIMEOUT')) {
    return { state: 'down', what: `${service} cannot be reached: ${messageOf(error)}`, hint, error };
  }
  const took = now() - from;
  if (took < SLOW_MS) return { state: 'answers', what: `${service} answers`, error };
  return { state: 'slow', what: `${service} answers slowly: after ${formatMs(took)}`, hint, error };
}

/** AWS PrivateLink Guide, "AWS services that integrate with AWS PrivateLink": `com.amazonaws.REGION.sqs`. */
function hintOf(service: AwsService, region: string): string {
  const name = `com.amazonaws.${region}.${NAMES[service]}`;
  const variable = `AWS_ENDPOINT_URL_${service.toUpperCase().replaceAll(' ', '_')}`;
  const gateway = service === 'S3' ? ' (a gateway, in the route table of the subnet)' : '';
  return `without a way to the internet, the VPC needs the endpoint ${name}${gateway}; check its security group, the proxy, DNS, and ${variable} or AWS_ENDPOINT_URL if they are set`;
}
