import * as z from 'zod';
import { artifacts } from '../../shared/manifest.ts';
import { envName, instanceId, serviceName, ulid, versionName } from '../../shared/names.ts';
import { report, reportError } from '../../shared/report.ts';

/** How much may go wrong before a deployment fails, from the options of the command. */
const policy = z.looseObject({
  /** How many instances may be missing: without a report, or not ended at the timeout. */
  allowMissing: z.int().min(0),
  /** How many instances may end in another state than `succeeded`. */
  maxFailures: z.int().min(0),
  onFailure: z.enum(['rollback', 'stop']),
  timeoutMs: z.int().min(1),
});
export type Policy = z.infer<typeof policy>;

/** A rolling deployment: its plan and its progress. Each step is written here before it is taken. */
const rolling = z.looseObject({
  waves: z.array(
    z.looseObject({
      kind: z.enum(['canary', 'batch']),
      instances: z.array(instanceId),
      announcedAt: z.iso.datetime().optional(),
      passedAt: z.iso.datetime().optional(),
    }),
  ),
  /** When all instances were prepared; from then on the waves hold only prepared instances. */
  preparedAt: z.iso.datetime().optional(),
  /** The instances that failed, or did not answer, within what the policy allows. */
  failed: z.array(instanceId),
  missing: z.array(instanceId),
  /** What ends the wait for confirmation: a person, or the time when nothing has failed by then. */
  gate: z.enum(['none', 'person', 'time']),
  autoConfirmMs: z.int().min(0).optional(),
  awaitingSince: z.iso.datetime().optional(),
  confirmed: z.looseObject({ by: z.string(), at: z.iso.datetime() }).optional(),
  pauseBetweenMs: z.int().min(0),
});
export type Rolling = z.infer<typeof rolling>;

/** `deployments/ID/deployment.json`: what was announced, to whom, by whom, and the outcome. */
export const deploymentRecord = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  deployment: ulid,
  env: envName,
  service: serviceName,
  version: versionName,
  /** The desired version before; of a rollback, the version it replaces. */
  previous: versionName.nullable(),
  action: z.enum(['deploy', 'rollback', 'restart']),
  sequence: z.int().min(1),
  issuedBy: z.string(),
  from: z.looseObject({ user: z.string(), host: z.string(), build: z.string().optional() }),
  reason: z.string().optional(),
  /** Its wait in the queue: since when and how long; with `jumped`, why it jumped and whom it overtook. */
  line: z
    .looseObject({
      since: z.iso.datetime(),
      waitedMs: z.number().min(0),
      jumped: z.string().optional(),
      overtook: z.array(z.string()).optional(),
    })
    .optional(),
  /** The pause that it ignored. */
  despitePause: z.looseObject({ by: z.string(), since: z.iso.datetime(), reason: z.string() }).optional(),
  artifacts,
  /** The instances that had a record when it was announced. */
  expected: z.array(instanceId),
  announcedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  strategy: z.enum(['all', 'rolling']),
  rolling: rolling.optional(),
  /** The environment that `promote` took the version from. */
  promotedFrom: envName.optional(),
  /** Only these instances (`--only`): the desired state does not change. */
  targets: z.array(instanceId).optional(),
  policy,
  /** Whether the desired state was written before it was announced. */
  desiredFirst: z.boolean(),
  /** `timed-out` is not final: `watch` settles the deployment again once all instances have ended. */
  status: z.enum(['announced', 'succeeded', 'failed', 'timed-out', 'cancelled']),
  settledAt: z.iso.datetime().optional(),
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(3)]).optional(),
  /** One line for a person: the outcome, and the desired state now. */
  outcome: z.string().optional(),
  /** How many instances are in each state; those in `silent` never answered. */
  counts: z.record(z.string(), z.int().min(0)).optional(),
  silent: z.array(instanceId).optional(),
  /** From the announcement to the last ending. */
  tookMs: z.number().min(0).optional(),
  results: z
    .record(
      instanceId,
      z.looseObject({
        state: report.shape.state,
        version: versionName,
        tookMs: z.number().min(0), // from the announcement, by the instance's clock
        error: reportError.optional(),
      }),
    )
    .optional(),
  /** Set when it failed and must be rolled back: the target version. Done once `rolledBackBy` is set. */
  rollBackTo: versionName.optional(),
  /** The deployment that this one rolls back, and the one that rolled back this one. */
  rollbackOf: ulid.optional(),
  rolledBackBy: ulid.optional(),
});
export type DeploymentRecord = z.infer<typeof deploymentRecord>;
