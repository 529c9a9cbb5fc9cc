import { z } from 'zod';
import { artifacts } from '../../shared/manifest.ts';
import { envName, instanceId, serviceName, ulid, versionName } from '../../shared/names.ts';
import { report, reportError } from '../../shared/report.ts';

/** How far a deployment may go wrong before it does not pass, as the publisher was told. */
const policy = z.looseObject({
  /** Instances that may stay silent. */
  allowMissing: z.int().min(0),
  /** Instances that may end otherwise than `succeeded`. */
  maxFailures: z.int().min(0),
  onFailure: z.enum(['rollback', 'stop']),
  timeoutMs: z.int().min(1),
});
export type Policy = z.infer<typeof policy>;

/** A deployment in waves: its plan and how far it is. Written before each step is taken. */
const rolling = z.looseObject({
  waves: z.array(
    z.looseObject({
      kind: z.enum(['canary', 'batch']),
      instances: z.array(instanceId),
      announcedAt: z.iso.datetime().optional(),
      passedAt: z.iso.datetime().optional(),
    }),
  ),
  /** When all stood prepared; from then on the waves have only those that did. */
  preparedAt: z.iso.datetime().optional(),
  /** Who failed, or did not answer, and was passed over within what is allowed. */
  failed: z.array(instanceId),
  missing: z.array(instanceId),
  /** Who opens the gate: a person, or time if nothing has failed by then. */
  gate: z.enum(['none', 'person', 'time']),
  autoConfirmMs: z.int().min(0).optional(),
  awaitingSince: z.iso.datetime().optional(),
  confirmed: z.looseObject({ by: z.string(), at: z.iso.datetime() }).optional(),
  pauseBetweenMs: z.int().min(0),
});
export type Rolling = z.infer<typeof rolling>;

/** `deployments/ID/deployment.json`: what was announced, to whom, by whom, and what became of it. */
export const deploymentRecord = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  deployment: ulid,
  env: envName,
  service: serviceName,
  version: versionName,
  /** What the desired state said before; of a rollback, the version it leaves. */
  previous: versionName.nullable(),
  action: z.enum(['deploy', 'rollback', 'restart']),
  sequence: z.int().min(1),
  issuedBy: z.string(),
  from: z.looseObject({ user: z.string(), host: z.string(), build: z.string().optional() }),
  reason: z.string().optional(),
  /** It waited in the line: since when, how long, and with `jumped` before whom, and why. */
  line: z
    .looseObject({
      since: z.iso.datetime(),
      waitedMs: z.number().min(0),
      jumped: z.string().optional(),
      overtook: z.array(z.string()).optional(),
    })
    .optional(),
  /** The pause that it was carried out in spite of. */
  despitePause: z.looseObject({ by: z.string(), since: z.iso.datetime(), reason: z.string() }).optional(),
  artifacts,
  /** The instances that had a record when it was announced. */
  expected: z.array(instanceId),
  announcedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  strategy: z.enum(['all', 'rolling']),
  rolling: rolling.optional(),
  /** The environment whose version it is, brought here by `promote`. */
  promotedFrom: envName.optional(),
  /** Only these instances: the desired state is not theirs to move. */
  targets: z.array(instanceId).optional(),
  policy,
  /** Whether the desired state was written before it was announced. */
  desiredFirst: z.boolean(),
  /** `timed-out` may still become another: whoever watches it settles it anew when all have ended. */
  status: z.enum(['announced', 'succeeded', 'failed', 'timed-out', 'cancelled']),
  settledAt: z.iso.datetime().optional(),
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(3)]).optional(),
  /** One line for a person: what was decided and what the desired state is now. */
  outcome: z.string().optional(),
  /** Instances by the state they ended or stand in; `silent` never answered. */
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
  /** Set when it failed and must be undone: the version to return to. Done once `rolledBackBy` is set. */
  rollBackTo: versionName.optional(),
  /** The deployment this one undoes, and the one that undid this. */
  rollbackOf: ulid.optional(),
  rolledBackBy: ulid.optional(),
});
export type DeploymentRecord = z.infer<typeof deploymentRecord>;
