import type { LifecycleRule } from '@aws-sdk/client-s3';
import { keys } from '../../shared/names.ts';

/**
 * The lifecycle of the bucket. Pure.
 *
 * A rule selects objects by a prefix, by tags or by size. Artifacts, desired states, locks, pauses and the records that a
 * rollback reads lie between records that are only history, with the service's name before what tells them apart
 * (`state/ENV/SERVICE/…`), so no prefix selects old records alone. A tag could, but then each PUT of a record would need
 * `s3:PutObjectTagging`, which the roles of older agents do not have; and age alone does not say whether a record is still
 * needed. So no rule of this project removes an object of these that is current. `trigger-deploy gc` decides which old records go,
 * and these rules remove what it, an overwrite or a mistake left behind: noncurrent versions, delete markers without
 * versions, and parts of uploads that were never completed.
 */

/** How long a version that was replaced or deleted can still be restored. */
const NONCURRENT_DAYS = 90;
/** After this time an upload that was not completed is given up. A push that is repeated begins its uploads anew. */
const UPLOAD_DAYS = 7;

export interface OwnRule {
  id: string;
  prefix: string;
  noncurrentDays: number;
  uploadDays: number;
  /** After how many days current objects are removed; only of the logs of services. */
  currentDays?: number;
}

/**
 * The rules of one environment. Environments that share a bucket share the rule of the artifacts. The logs of services have a
 * prefix of their own, and nothing reads them but people: with `logDays` they are removed after that time.
 */
export function ownRules(env: string, logDays: number | undefined): OwnRule[] {
  const days = { noncurrentDays: NONCURRENT_DAYS, uploadDays: UPLOAD_DAYS };
  return [
    { id: 'trigger-deploy-artifacts', prefix: keys.versions(), ...days },
    { id: `trigger-deploy-state-${env}`, prefix: keys.services(env), ...days },
    ...(logDays === undefined
      ? []
      : [{ id: `trigger-deploy-logs-${env}`, prefix: keys.allLogs(env), ...days, currentDays: logDays }]),
  ];
}

const asLifecycleRule = ({ id, prefix, currentDays, ...days }: OwnRule): LifecycleRule => ({
  ID: id,
  Status: 'Enabled',
  Filter: { Prefix: prefix },
  // With a number of days, S3 removes delete markers without versions by itself (S3 User Guide, "Lifecycle elements").
  Expiration: currentDays === undefined ? { ExpiredObjectDeleteMarker: true } : { Days: currentDays },
  NoncurrentVersionExpiration: { NoncurrentDays: days.noncurrentDays },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: days.uploadDays },
});

/**
 * The rules of a bucket with `own` in them: a rule with the same ID is replaced if it differs; all others stay. Undefined
 * when they are right already.
 */
export function withRules(
  found: readonly LifecycleRule[],
  own: readonly OwnRule[],
): LifecycleRule[] | undefined {
  const wanted = own.map(asLifecycleRule);
  const missing = wanted.filter((rule) => !found.some((other) => isSameRule(other, rule)));
  if (missing.length === 0) return undefined;
  const replaced = new Set(missing.map(({ ID }) => ID));
  return [...found.filter(({ ID }) => !replaced.has(ID)).map(withFilter), ...missing];
}

/** S3 refuses a configuration that has the old `Prefix` in one rule and a `Filter` in another. Both mean the same. */
function withFilter({ Prefix, ...rule }: LifecycleRule): LifecycleRule {
  return Prefix === undefined ? rule : { ...rule, Filter: { Prefix } };
}

function isSameRule(found: LifecycleRule, wanted: LifecycleRule): boolean {
  const form = (rule: LifecycleRule) =>
    JSON.stringify([
      rule.ID,
      rule.Status,
      // CloudFormation writes the old form.
      rule.Filter?.Prefix ?? rule.Prefix,
      rule.Filter?.And ?? rule.Filter?.Tag ?? rule.Filter?.ObjectSizeGreaterThan,
      rule.Expiration?.ExpiredObjectDeleteMarker,
      rule.Expiration?.Days ?? rule.Expiration?.Date,
      rule.NoncurrentVersionExpiration?.NoncurrentDays,
      rule.NoncurrentVersionExpiration?.NewerNoncurrentVersions,
      rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
      rule.Transitions?.length ?? 0,
      rule.NoncurrentVersionTransitions?.length ?? 0,
    ]);
  return form(found) === form(wanted);
}

/**
 * What rules of others do to objects that deployments need, one line each: a rule that lets current objects expire, or moves
 * them to a storage class that must be restored before it can be read.
 */
export function harmfulRules(found: readonly LifecycleRule[], own: readonly OwnRule[]): string[] {
  const needed = own.filter(({ currentDays }) => currentDays === undefined);
  return found
    .filter((rule) => rule.Status === 'Enabled')
    .flatMap((rule) => {
      const prefix = rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? '';
      const covered = needed.filter((one) => one.prefix.startsWith(prefix) || prefix.startsWith(one.prefix));
      if (covered.length === 0) return [];
      const where = prefix === '' ? 'the whole bucket' : prefix;
      const { Days, Date: date } = rule.Expiration ?? {};
      const name = `the lifecycle rule ${JSON.stringify(rule.ID ?? '')}`;
      if (Days !== undefined || date !== undefined) {
        return [
          `${name} deletes current objects of ${where}: artifacts or the record of deployments are lost`,
        ];
      }
      const cold = rule.Transitions?.find(({ StorageClass = '' }) => ARCHIVES.has(StorageClass));
      return cold
        ? [`${name} moves objects of ${where} to ${cold.StorageClass}, from where no agent can read them`]
        : [];
    });
}

/** S3 User Guide, "Working with archived objects". */
const ARCHIVES: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);
