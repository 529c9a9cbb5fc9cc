import * as z from 'zod';
import { verifiedPerson } from '../../shared/decision.ts';
import { artifacts } from '../../shared/manifest.ts';
import { envName, instanceId, serviceName, ulid, versionName } from '../../shared/names.ts';
import { report, reportError } from '../../shared/report.ts';
import { checked, checks } from './check-schema.ts';

/**
 * The record of a deployment. Its head says what was ordered, and never changes. Everything else moves on with the
 * deployment. Both are signed at each write.
 */

/** How many instances may fail or be missing, for how long to wait, and what follows a failure. */
const policy = z.looseObject({
  /** How many instances may be missing: without a report, or not ended at the timeout. */
  allowMissing: z.int().min(0),
  /** How many instances may end in another state than `succeeded`. */
  maxFailures: z.int().min(0),
  onFailure: z.enum(['rollback', 'stop']),
  timeoutMs: z.int().min(1),
});
export type Policy = z.infer<typeof policy>;

/** How a rolling deployment is carried out. */
export const rollingTerms = z.looseObject({
  /** What opens the gate: only a person, or else a timer too (`time`), if the switched instances are still healthy. */
  gate: z.enum(['none', 'person', 'time']),
  /** The person must be another than the one who issued the deployment, and a console must have verified both. */
  confirm: z.literal('other').optional(),
  autoConfirmMs: z.int().min(0).optional(),
  pauseBetweenMs: z.int().min(0),
});

/** How far a rolling deployment is. Each step is written here before it is taken. */
const progress = z.looseObject({
  waves: z.array(
    z.looseObject({
      kind: z.enum(['canary', 'batch']),
      instances: z.array(instanceId),
      announcedAt: z.iso.datetime().optional(),
      passedAt: z.iso.datetime().optional(),
    }),
  ),
  /** When the prepare phase ended. From then on the waves hold only instances that are prepared. */
  preparedAt: z.iso.datetime().optional(),
  /** Instances that failed in a phase that passed: the policy allowed so many failures. */
  failed: z.array(instanceId),
  /** Instances that did not finish a phase in time, although the phase passed: the policy allowed so many. */
  missing: z.array(instanceId),
  awaitingSince: z.iso.datetime().optional(),
  confirmed: z.looseObject({ by: z.string(), at: z.iso.datetime() }).optional(),
});
export type Rolling = z.infer<typeof rollingTerms> & z.infer<typeof progress>;

/** What was ordered, to whom, by whom and why, apart from `rolling`. */
const ordered = {
  deployment: ulid,
  env: envName,
  service: serviceName,
  version: versionName,
  /**
   * The version to roll back to: the desired version before, or with `targets` the version that all of them ran. For a
   * rollback, the version that it replaces.
   */
  previous: versionName.nullable(),
  action: z.enum(['deploy', 'rollback', 'restart']),
  sequence: z.int().min(1),
  issuedBy: z.string(),
  /** As `Origin`. */
  from: z.looseObject({
    user: z.string(),
    host: z.string(),
    build: z.string().optional(),
    via: z.string().max(255).optional(),
    verified: verifiedPerson.optional(),
    argv: z.array(z.string().max(2048)).max(100).readonly().optional(),
  }),
  reason: z.string().optional(),
  /** The wait of the publisher in the queue. `jumped` is the reason for `--jump`, `overtook` whom it overtook. */
  line: z
    .looseObject({
      since: z.iso.datetime(),
      waitedMs: z.number().min(0),
      jumped: z.string().optional(),
      overtook: z.array(z.string()).optional(),
    })
    .optional(),
  /** The pause that this deployment ignored (`--despite-pause`). */
  despitePause: z.looseObject({ by: z.string(), since: z.iso.datetime(), reason: z.string() }).optional(),
  artifacts,
  /** The instances that must report: those in the waves or in `targets`, else those with an instance record. */
  expected: z.array(instanceId),
  strategy: z.enum(['all', 'rolling']),
  /** The environment that `promote` took the version from. */
  promotedFrom: envName.optional(),
  /** The deployment is for these instances only (`--only`, `--where`). The desired state does not change. */
  targets: z.array(instanceId).optional(),
  policy,
  /** The automatic checks (`alarms`, `verify`). Older records, rollbacks and deployments without instances omit it. */
  checks: checks.optional(),
  /** Whether the desired state is written before the announcement, and not after the success. */
  desiredFirst: z.boolean(),
  /** The deployment that this one rolls back. */
  rollbackOf: ulid.optional(),
};

/** An instance that a deployment does not wait for. */
export const forgotten = z.looseObject({
  instance: instanceId,
  /** `terminated`: so says EC2. `unknown`: EC2 does not know it. `silent`: it wrote nothing for `forgetAfter`. */
  why: z.enum(['terminated', 'unknown', 'silent']),
  /** When it last wrote into the record, by S3's clock. */
  lastSeen: z.iso.datetime().optional(),
});
export type Forgotten = z.infer<typeof forgotten>;

/** What changes while a deployment goes on, apart from `rolling` and the policy of a `resume`. */
const moving = {
  announcedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  /** `timed-out` is not final: `watch`, `resume` or the next deployment can settle the deployment again. */
  status: z.enum(['announced', 'succeeded', 'failed', 'timed-out', 'cancelled']),
  settledAt: z.iso.datetime().optional(),
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(3)]).optional(),
  /** One line for a person: the outcome, then the desired state or the rollback that follows. */
  outcome: z.string().optional(),
  /** How many instances are in each state. The key `silent` counts the instances without a report. */
  counts: z.record(z.string(), z.int().min(0)).optional(),
  silent: z.array(instanceId).optional(),
  /** The instances that are not waited for, although they have a record: they are gone. */
  forgotten: z.array(forgotten).optional(),
  /** From the announcement to the last ending. */
  tookMs: z.number().min(0).optional(),
  results: z
    .record(
      instanceId,
      z.looseObject({
        state: report.shape.state,
        version: versionName,
        tookMs: z.number().min(0), // from the announcement, by the instance's clock
        /** From the announcement until the publisher had the ending, by its clock. Older records omit it. */
        heardMs: z.number().min(0).optional(),
        error: reportError.optional(),
        warning: report.shape.warning,
      }),
    )
    .optional(),
  /** What the automatic checks gave so far. */
  checked: checked.optional(),
  /** Whether this deployment set the desired state. An older desired state was then put back by another writer. */
  setDesired: z.boolean().optional(),
  /** The version to roll back to; set when a rollback must follow. Once it has started, `rolledBackBy` is set. */
  rollBackTo: versionName.optional(),
  /** Who continued it last, after its publisher had stopped. */
  resumedBy: z.string().max(256).optional(),
  /** The host of the console through which that happened; left out for a terminal. */
  resumedVia: z.string().max(255).optional(),
  /** The deployment that rolled back this one. */
  rolledBackBy: ulid.optional(),
};

export const deploymentHead = z.looseObject({ ...ordered, rolling: rollingTerms.optional() });
export type DeploymentHead = z.infer<typeof deploymentHead>;

/** `deployments/ID/deployment.jws`: the signed document. */
export const deploymentDocument = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  head: deploymentHead,
  ...moving,
  rolling: progress.optional(),
  /** What `resume` changed of the policy. */
  resumed: z.looseObject({ timeoutMs: z.int().min(1), allowMissing: z.int().min(0) }).optional(),
});
export type DeploymentDocument = z.infer<typeof deploymentDocument>;

/** The record as this program works with it: the head and what moves, in one. */
const record = z.object({ ...ordered, ...moving });
export type DeploymentRecord = z.infer<typeof record> & { rolling?: Rolling | undefined };

/** `deployments/ID/deployment.json` of publishers before signed records. It is shown, and nothing else. */
export const unsignedDeployment = z.looseObject({
  ...ordered,
  ...moving,
  v: z.literal(1),
  rolling: z.looseObject({ ...rollingTerms.shape, ...progress.shape }).optional(),
});
