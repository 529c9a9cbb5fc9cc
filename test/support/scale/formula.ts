/**
 * How often a fleet calls AWS, as a formula, and what the calls cost. Pure. test/unit/support/scale, test/integration/aws-calls.test.ts and
 * test/integration/scale.long.test.ts compare it with counted calls; docs/SCALE.md shows it.
 */

/** Calls by service and operation: `SQS ReceiveMessage`. */
export type Calls = Readonly<Record<string, number>>;

const DAY = 24 * 60 * 60;
/** What an idle agent does, s: the intervals of agent/loop, at their mean, and of its long poll. */
const POLL = 20;
const RESUBSCRIBE = 20 * 60;
const HEARTBEAT = 20 * 60;
const READ_CHANGES = 10 * 60;
/** Each service is looked at once in 20 hours, but not more than one in 30 minutes. */
const LOOK = (services: number) => Math.max((20 * 60 * 60) / services, 30 * 60);

/** The calls of one agent in a day in which nothing is deployed. */
export function idleDay(services: number): Calls {
  return {
    'SQS ReceiveMessage': DAY / POLL,
    // It is renewed between two polls.
    'SNS Subscribe': Math.round(DAY / (RESUBSCRIBE + POLL)),
    'S3 PutObject': DAY / HEARTBEAT,
    'S3 GetObject': DAY / READ_CHANGES + Math.floor(DAY / LOOK(services)),
  };
}

/** How many requests an agent sends its progress with: eleven replies of an archive do not fit into two. */
export const SENDS = { jar: 2, archive: 3 } as const;

/** What one agent asks for in one deployment: the announcement, and the one of the desired state. */
export function agentOfDeployment(type: keyof typeof SENDS, files = 1): Calls {
  return {
    'SQS ReceiveMessage': 2,
    'SQS DeleteMessage': 2,
    'SQS GetQueueUrl': 1,
    'SQS SendMessageBatch': SENDS[type],
    // The files, and the desired state.
    'S3 GetObject': files + 1,
    // `accepted`, the ending, and the record of the instance.
    'S3 PutObject': 3,
  };
}

/**
 * What the publisher asks for in one deployment to all instances at once, its receives left out. A list has 1,000 keys in
 * an answer; here are as many instances as one answer has, or fewer, unless `pages` says otherwise.
 */
export function publisherOfDeployment(instances: number): Calls {
  return {
    'SNS Publish': 2,
    'SQS CreateQueue': 1,
    'SQS DeleteQueue': 1,
    'S3 GetObject': 16 + instances,
    // Whether the manifest is still there, once the lock is held.
    'S3 HeadObject': 1,
    'S3 PutObject': 6,
    'S3 ListObjectsV2': 3 + extraPages(instances),
  };
}

/** The answers beyond the first of the list of instances, and of that of reports. */
const extraPages = (instances: number) => 2 * (Math.max(1, Math.ceil(instances / 1000)) - 1);

/** At most so many receives of replies: one for each request of an agent, and helpers, which find few. */
export const mostReceives = (instances: number, type: keyof typeof SENDS) => 2 * instances * SENDS[type] + 1;

export const times = (calls: Calls, factor: number): Calls =>
  Object.fromEntries(Object.entries(calls).map(([name, count]) => [name, count * factor]));

function plus(...all: readonly Calls[]): Calls {
  const sum: Record<string, number> = {};
  for (const calls of all) {
    for (const [name, count] of Object.entries(calls)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

export const totalOf = (calls: Calls) => Object.values(calls).reduce((sum, count) => sum + count, 0);

/** One deployment of a jar to all instances, with the most receives that the publisher makes. */
export const deployment = (instances: number): Calls =>
  plus(times(agentOfDeployment('jar'), instances), publisherOfDeployment(instances), {
    'SQS ReceiveMessage': mostReceives(instances, 'jar'),
  });

export interface Fleet {
  instances: number;
  /** All of them on each instance. */
  services: number;
  /** Of all services together, each to all instances. */
  deploymentsADay: number;
}

/** The calls of 30 days. */
export const month = ({ instances, services, deploymentsADay }: Fleet): Calls =>
  times(plus(times(idleDay(services), instances), times(deployment(instances), deploymentsADay)), 30);

/** List prices in USD of a million calls. docs/SCALE.md has the sources. The free tier is left out. */
export const PRICES = {
  SQS: 0.4,
  SNS: 0.5,
  'S3 PUT': 5,
  'S3 GET': 0.4,
} as const;

/** What a call is billed as. AWS bills PUT, POST and LIST of S3 as one kind, and GET and HEAD as another one. */
function kindOf(name: string): keyof typeof PRICES {
  const [service, operation = ''] = name.split(' ');
  if (service === 'SQS' || service === 'SNS') return service;
  return /^(Put|List|Create|Upload|Complete)/.test(operation) ? 'S3 PUT' : 'S3 GET';
}

/** The bill of the calls by kind, USD. */
export function bill(calls: Calls): Record<keyof typeof PRICES, number> {
  const sum = { SQS: 0, SNS: 0, 'S3 PUT': 0, 'S3 GET': 0 };
  for (const [name, count] of Object.entries(calls)) {
    const kind = kindOf(name);
    sum[kind] += (count * PRICES[kind]) / 1_000_000;
  }
  return sum;
}
