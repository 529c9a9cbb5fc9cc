import { readFileSync } from 'node:fs';
import { CloudError } from './errors.ts';
import { like } from './policy.ts';
import type { Call, RequestRecord } from './requests.ts';

/**
 * The policy that docs/GETTING-STARTED.md gives the role of the instances, as IAM evaluates it (IAM User Guide, "Policy
 * evaluation logic" and "IAM JSON policy elements: Variables and tags"). What agents and attackers may do in a test is
 * what the document allows.
 */

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Record<string, Record<string, string | readonly string[]>>;
}

/** The tags of a request and of its queue, and who asks. A key that is missing is not in the request's context. */
type Context = Readonly<Record<string, string | undefined>>;

const DOCUMENT = new URL('../../../docs/GETTING-STARTED.md', import.meta.url);
const CHAPTER = '## 2. The role of the instances';

/** The document is written for one account, environment and bucket; a test has others. */
const EXAMPLES: readonly (readonly [RegExp, string])[] = [
  [/eu-west-1:123456789012/g, '*:*'],
  [/trigger-deploy-dev/g, 'trigger-deploy-*'],
  [/acme-deploys-dev/g, '*'],
  [/state\/dev\//g, 'state/*/'],
];

function policyOfInstances(): readonly Statement[] {
  const [, chapter = ''] = readFileSync(DOCUMENT, 'utf8').split(CHAPTER);
  const [, json = ''] = /```json\n([\s\S]*?)```/.exec(chapter) ?? [];
  const general = EXAMPLES.reduce((text, [example, any]) => text.replace(example, any), json);
  return (JSON.parse(general) as { Statement: Statement[] }).Statement;
}

/** The tags of a queue; undefined when there is no such queue. */
export type TagsOf = (queue: string) => ReadonlyMap<string, string> | undefined;

/** Refuses what the role of the instances may not do. `userid` is that of the caller. */
export function createInstancePolicy(tagsOf: TagsOf): (call: Call, body: unknown, userid: string) => void {
  const statements = policyOfInstances();
  return ({ record }, body, userid) => {
    const fields = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    const asked = record.operation === 'CreateQueue' ? fields.tags : fields.Tags;
    const context: Context = {
      'aws:userid': userid,
      ...prefixed('aws:RequestTag/', Object.entries((asked ?? {}) as Record<string, string>)),
      ...prefixed('aws:ResourceTag/', record.queue ? (tagsOf(record.queue) ?? []) : []),
    };
    const resource = resourceOf(record, fields);
    for (const action of actionsOf(record, asked)) {
      if (!isAllowed(statements, action, resource, context)) throw denied(record, action, resource, userid);
    }
  };
}

const prefixed = (prefix: string, tags: Iterable<readonly [string, string]>) =>
  Object.fromEntries([...tags].map(([key, value]) => [prefix + key, value]));

/** SQS Developer Guide: a queue that is created with tags needs `sqs:TagQueue` as well. STS needs no permission. */
function actionsOf({ service, operation }: RequestRecord, tags: unknown): string[] {
  if (service === 'sts') return [];
  if (operation === 'CreateQueue' && tags !== undefined) return ['sqs:CreateQueue', 'sqs:TagQueue'];
  if (service !== 's3') return [`${service}:${operation.replace(/Batch$/, '')}`];
  if (/^ListObjects|^HeadBucket/.test(operation)) return ['s3:ListBucket'];
  if (/^(Get|Head)Object/.test(operation)) return ['s3:GetObject'];
  const isPut = /Upload|^CopyObject$|^PutObject$/.test(operation);
  return [isPut ? 's3:PutObject' : `s3:${operation}`];
}

function resourceOf({ service, bucket, key, queue }: RequestRecord, fields: Record<string, unknown>): string {
  if (service === 's3') return `arn:aws:s3:::${bucket}${key ? `/${key}` : ''}`;
  if (service === 'sqs') return `arn:aws:sqs:any:any:${queue}`;
  return String(fields.SubscriptionArn ?? fields.TopicArn);
}

function isAllowed(all: readonly Statement[], action: string, resource: string, context: Context): boolean {
  const applying = all.filter(
    ({ Action, Resource, Condition = {} }) =>
      list(Action).some((pattern) => like(pattern, action)) &&
      list(Resource).some((pattern) => isLike(pattern, resource, context)) &&
      Object.entries(Condition).every(([operator, keys]) => holds(operator, keys, context)),
  );
  const effects = applying.map(({ Effect }) => Effect);
  return effects.includes('Allow') && !effects.includes('Deny');
}

function holds(
  operator: string,
  keys: Record<string, string | readonly string[]>,
  context: Context,
): boolean {
  const [, name, ifExists] = /^(StringEquals|StringLike)(IfExists)?$/.exec(operator) ?? [];
  if (name === undefined) throw new Error(`the embedded cloud does not know the condition ${operator}`);
  return Object.entries(keys).every(([key, values]) => {
    const is = context[key];
    if (is === undefined) return ifExists !== undefined;
    return list(values).some((value) =>
      name === 'StringLike' ? isLike(value, is, context) : substituted(value, context) === is,
    );
  });
}

function isLike(pattern: string, value: string, context: Context): boolean {
  const full = substituted(pattern, context);
  return full !== undefined && like(full, value);
}

/** Undefined when a variable has no value: then nothing matches. */
function substituted(text: string, context: Context): string | undefined {
  let isComplete = true;
  const full = text.replace(/\$\{([^}]+)\}/g, (_, key: string) => {
    const value = context[key];
    if (value === undefined) isComplete = false;
    return value ?? '';
  });
  return isComplete ? full : undefined;
}

function denied({ service }: RequestRecord, action: string, resource: string, userid: string): CloudError {
  const code = service === 'sns' ? 'AuthorizationError' : 'AccessDenied';
  const why = 'because no identity-based policy allows the action';
  return new CloudError(
    403,
    code,
    `${userid} is not authorized to perform: ${action} on resource: ${resource} ${why}`,
  );
}

const list = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
