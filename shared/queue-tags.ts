import * as z from 'zod';
import { ENV_TAG, INSTANCE_TAG, SERVICES_TAG, USERID_TAG } from './names.ts';

/**
 * The tags of queues: the operator's own, for cost allocation and for policies, and ours. Amazon SQS Developer Guide, "Amazon SQS
 * standard queue quotas": 50 tags, a key of 128 characters, a value of 1 to 256, made of letters, numbers, white space and
 * `_ . : / = + - @`; `aws:` is reserved.
 */

/** 50, less the tags in `ownTags`. */
const MOST_QUEUE_TAGS = 46;
const LONGEST_VALUE = 256;
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
/** IAM compares the keys of tags without regard to case: `Trigger-Deploy:UserId` would be a second owner of the queue. */
const RESERVED = /^(aws|trigger-deploy):/i;

const text = (what: string, most: number) =>
  z
    .string(`expected ${what} as text: put it in quotes`)
    .min(1, `expected ${what} of at least 1 character`)
    .max(most, `expected ${what} of ${most} characters at most`)
    .regex(ALLOWED, `expected ${what} of letters, numbers, spaces and _ . : / = + - @`);

/** `queueTags:` of both config files. */
export const queueTags = z
  .record(
    text('a tag key', 128).refine((key) => !RESERVED.test(key), {
      error: 'expected a tag key that does not begin with aws: or trigger-deploy:, which are reserved',
    }),
    text('a tag value', LONGEST_VALUE).refine((value) => !/^aws:/i.test(value), {
      error: 'expected a tag value that does not begin with aws:, which is reserved',
    }),
    { error: (issue) => (issue.code === 'invalid_key' ? undefined : 'expected tag values by key') },
  )
  .refine((all) => Object.keys(all).length <= MOST_QUEUE_TAGS, {
    error: `expected ${MOST_QUEUE_TAGS} tags at most: SQS allows 50, and trigger-deploy sets 4`,
  });
export type QueueTags = Readonly<z.infer<typeof queueTags>>;

/** Our own tags. They come after the operator's in a request, and no tag of the operator's has such a key. */
export function ownTags(of: {
  env: string;
  services: readonly string[];
  instance?: string;
  userId?: string;
}): Record<string, string> {
  return {
    [ENV_TAG]: of.env,
    ...(of.services.length === 0 ? {} : { [SERVICES_TAG]: servicesTag(of.services) }),
    ...(of.instance === undefined ? {} : { [INSTANCE_TAG]: of.instance }),
    ...(of.userId === undefined ? {} : { [USERID_TAG]: of.userId }),
  };
}

/**
 * The names of the services in one value, sorted, with spaces between them: a comma is not allowed. Where they are too many, as many as
 * fit and how many more there are: `billing payments +12 more`.
 */
function servicesTag(services: readonly string[]): string {
  const sorted = services.toSorted();
  for (let shown = sorted.length; shown > 0; shown -= 1) {
    const rest = sorted.length - shown;
    const value = [...sorted.slice(0, shown), ...(rest === 0 ? [] : [`+${rest} more`])].join(' ');
    if (value.length <= LONGEST_VALUE) return value;
  }
  return `${services.length} services`;
}
