import { createHash } from 'node:crypto';
import { TriggerDeployError } from '../../shared/errors.ts';
import {
  type DeploymentDocument,
  type DeploymentHead,
  type DeploymentRecord,
  deploymentDocument,
  deploymentHead,
  rollingTerms,
} from './deployment-schema.ts';
import { nonce } from './objects.ts';

/** Converts between the record of a deployment and its signed document. Pure, apart from `nonce`. */

/** The record that `document` holds. After a `resume` its policy is that of the `resume`. */
export function recordOf(document: DeploymentDocument): DeploymentRecord {
  const { head, rolling: progress, resumed, v: _v, nonce: _nonce, ...moving } = document;
  const { rolling: terms, ...ordered } = head;
  const policy = resumed ? { ...ordered.policy, ...resumed } : ordered.policy;
  const rolling = terms && progress && { ...progress, ...terms };
  return { ...moving, ...ordered, policy, ...(rolling && { rolling }) };
}

/** The head of `record`. */
function headOf({ rolling, ...record }: DeploymentRecord): DeploymentHead {
  const known = Object.keys(deploymentHead.shape);
  const ordered = Object.entries(record).filter(([key]) => known.includes(key));
  const { gate, confirm, autoConfirmMs, pauseBetweenMs } = rolling ?? {};
  const terms = rolling && { gate, confirm, autoConfirmMs, pauseBetweenMs };
  return deploymentHead.parse({ ...Object.fromEntries(ordered), rolling: terms });
}

/**
 * The document of `record`. With `before`, the document that it replaces: the head must be that of `before`, except for
 * the two limits that a `resume` sets, which are stored beside it.
 * @throws RECORD_DAMAGED when another part of the head differs.
 */
export function documentOf(
  record: DeploymentRecord,
  before?: DeploymentDocument,
  id = nonce(),
): DeploymentDocument {
  const asked = headOf(record);
  const head = before?.head ?? asked;
  const { timeoutMs, allowMissing } = record.policy;
  const { policy } = head;
  const resumed = timeoutMs !== policy.timeoutMs || allowMissing !== policy.allowMissing;
  const known = before ? headOf(recordOf({ ...before, resumed: undefined })) : asked;
  const limits = { timeoutMs: policy.timeoutMs, allowMissing: policy.allowMissing };
  if (digestOf({ ...asked, policy: { ...asked.policy, ...limits } }) !== digestOf(known)) {
    throw new TriggerDeployError(
      'RECORD_DAMAGED',
      `what the deployment ${head.deployment} ordered must not change: its record was written with another order`,
      { hint: `trigger-deploy show ${record.deployment} --env ${record.env}` },
    );
  }
  const progress = Object.entries(record.rolling ?? {}).filter(([key]) => !(key in rollingTerms.shape));
  const rest = Object.entries(record).filter(([key]) => !(key in deploymentHead.shape));
  return deploymentDocument.parse({
    ...Object.fromEntries(rest),
    ...{ v: 1, nonce: id, head },
    ...(record.rolling && { rolling: Object.fromEntries(progress) }),
    ...(resumed && { resumed: { timeoutMs, allowMissing } }),
  });
}

/** The SHA-256 of a head, in hex: a decision about a deployment names it. */
export function digestOf(head: DeploymentHead): string {
  return createHash('sha256').update(canonical(head)).digest('hex');
}

/** JSON with sorted keys, without those that are undefined. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
