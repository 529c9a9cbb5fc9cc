import * as z from 'zod';
import { cleanLine, cleanTail, DETAIL_LIMIT } from './clean-text.ts';
import { envName, instanceId, serviceName, ulid, versionName } from './names.ts';
import { knownSpans } from './spans.ts';
import { ENDINGS, isEnding, PROGRESS_STATES, STEPS } from './states.ts';

/**
 * What an agent reports, on the reply queue and in the S3 record. Fields that are not named here are dropped: an instance
 * may write anything, and publishers sign a part of what it reports.
 */

/** How long the hint of an error in a report is at most, characters. */
export const HINT_LIMIT = 512;

/** A line of text. Parsing cleans it, so that each reader of a report or a record gets text that is safe to print. */
const line = (max: number) => z.string().max(max).transform(cleanLine);

export const reportError = z.object({
  code: line(64),
  message: line(2048),
  /** The tail of the service's own log, or of a command's output. */
  detail: z
    .string()
    .max(2 * DETAIL_LIMIT)
    .transform(cleanTail)
    .optional(),
  /** What a person can do about it, and which setting changes it: one line. */
  hint: line(HINT_LIMIT).optional(),
});

export const report = z.object({
  kind: z.literal('report'),
  v: z.literal(1),
  deployment: ulid,
  env: envName,
  service: serviceName,
  instance: instanceId,
  zone: line(64).optional(),
  sequence: z.int().min(0),
  /** Counts up by one for each report of this instance on this deployment. */
  n: z.int().min(0),
  at: z.iso.datetime(),
  state: z.enum([...PROGRESS_STATES, ...ENDINGS]),
  step: z.enum(STEPS).optional(),
  /** Details of the state, for a person: `http 503, 0 of 3`. */
  note: line(512).optional(),
  version: versionName,
  /** Set for a deployment that was started on the instance itself: it has no announcement and no `deployment.json`. */
  local: z.object({ action: z.enum(['deploy', 'rollback']), by: line(64) }).optional(),
  /** The version that ran before; null when none did. */
  previous: versionName.nullable().optional(),
  /** False when the version ran already and was only checked. */
  changed: z.boolean().optional(),
  error: reportError.optional(),
  /** What a person should know although the deployment did not fail because of it. */
  warning: line(512).optional(),
  /** ms spent in each step so far. */
  timings: z.partialRecord(z.enum(STEPS), z.number().min(0)),
  /** ms spent in parts of the steps, and before the first one. Older agents omit it. */
  spans: z.record(z.string().max(64), z.number().min(0)).transform(knownSpans).optional(),
});
export type Report = z.infer<typeof report>;

/**
 * Whether the report says that the deployment ended because the instance is about to stop or to be terminated. It is then
 * neither a success nor a failure of the version. An instance can say so of itself only, as it can say `succeeded`.
 */
export const isTerminating = ({ state, error }: Report) =>
  isEnding(state) && state !== 'succeeded' && error?.code === 'INSTANCE_TERMINATING';

/** How long a text in an instance record is at most, characters: an answer to a roll call has up to 256 records. */
export const SHORT_TEXT = 256;

/** How many keys an instance record names. */
export const MOST_TRUSTED = 16;

/** The limits of the tags of an instance: the same as those of EC2. */
export const MOST_TAGS = 50;
export const TAG_LIMITS = { key: 128, value: 256 } as const;

/** What was announced about the life of an instance: by EC2, or by its Auto Scaling group. */
export const instanceNotice = z.object({
  /** `spot-terminate`, `scale-in`, …: the agent's own words, for people. */
  kind: line(64),
  /** Whether the instance is about to stop or to be terminated: it takes no deployment. */
  terminating: z.boolean(),
  since: z.iso.datetime(),
  /** When that happens, as far as it is known. */
  at: z.iso.datetime().optional(),
});
export type InstanceNotice = z.infer<typeof instanceNotice>;

/**
 * What an instance runs of one service. It is stored as `state/ENV/SERVICE/instances/INSTANCE.json`, and it is part of
 * the answer to a roll call.
 */
export const instanceRecord = z.object({
  v: z.literal(1),
  env: envName,
  service: serviceName,
  instance: instanceId,
  zone: line(64).optional(),
  /** The version that is current; null when nothing is deployed. */
  version: versionName.nullable(),
  /** The sequence of the deployment that brought the version; 0 when unknown. */
  sequence: z.int().min(0),
  /** The highest sequence that the instance has seen announced; older agents omit it. */
  seen: z.int().min(0).optional(),
  deployment: ulid.optional(),
  /** The state of the last deployment on this instance, final or not. */
  state: z.enum([...PROGRESS_STATES, ...ENDINGS]).optional(),
  /** Why that deployment failed, unless it succeeded. The report has the whole error. */
  failure: z
    .object({ code: line(64), message: line(SHORT_TEXT), hint: line(SHORT_TEXT).optional() })
    .optional(),
  /** Whether the service manager calls the unit active. */
  active: z.boolean().optional(),
  pinned: z.boolean(),
  /** Older agents omit it. */
  notice: instanceNotice.optional(),
  agentVersion: line(64),
  /** The ids of the keys whose documents the agent accepts. Older agents omit it, and those with `trust: none`. */
  trusts: z.array(line(128)).max(MOST_TRUSTED).optional(),
  /** The tags of the instance: `stack: pr-1234`. */
  tags: z.record(z.string().max(TAG_LIMITS.key), z.string().max(TAG_LIMITS.value)).optional(),
  at: z.iso.datetime(),
  /** When the instance left. Publishers ignore the instance until its agent writes a record without `leftAt`. */
  leftAt: z.iso.datetime().optional(),
});
export type InstanceRecord = z.infer<typeof instanceRecord>;

export const rollCallAnswer = z.object({
  kind: z.literal('roll-call'),
  v: z.literal(1),
  /** The id that the roll call had as `deployment`. */
  rollCall: ulid,
  env: envName,
  instance: instanceId,
  zone: line(64).optional(),
  agentVersion: line(64),
  at: z.iso.datetime(),
  services: z.array(instanceRecord).max(256),
});
export type RollCallAnswer = z.infer<typeof rollCallAnswer>;

/** Everything that may arrive on a reply queue. */
export const reply = z.discriminatedUnion('kind', [report, rollCallAnswer]);
export type Reply = z.infer<typeof reply>;
