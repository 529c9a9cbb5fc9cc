import { isCode } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { trustsKey } from '../rollout/trust-in-key.ts';
import type { Session } from '../session.ts';
import { type DoctorFinding, named } from './finding.ts';

/** Whether the signing key can be used, and which instances trust it. */

/** @throws KEY_INVALID, AWS_* of a key in KMS. */
export async function examineKey(
  session: Session,
  instances: readonly InstanceRecord[],
): Promise<DoctorFinding[]> {
  const kid = await kidOf(session);
  if (kid === undefined) {
    const what = 'there is no signing key: these commands only look';
    return [{ id: 'signing-key', state: 'ok', what }];
  }
  const without = instances.filter((one) => trustsKey(one, kid) === false).map(({ instance }) => instance);
  const unknowing = instances.filter((one) => trustsKey(one, kid) === undefined).length;
  const silent = unknowing > 0 ? `; ${unknowing} do not say what they trust` : '';
  return [
    { id: 'signing-key', state: 'ok', what: `the signing key is ${kid}${silent}` },
    ...named(
      'key-trust',
      [...new Set(without)],
      (instance) => ({
        what: `${instance} does not trust the signing key (kid ${kid})`,
        hint: 'add its public key to trust.keys of the agent.yaml there, and restart the agent',
      }),
      (count) => ({
        what: `${count} more instances do not trust the signing key`,
        hint: `trigger-deploy keygen --rotate --check --env ${session.env.name} shows who trusts it`,
      }),
    ),
  ];
}

/** The key's id, after it has signed once in this program: a key of KMS may be disabled. Undefined without a key. */
async function kidOf(session: Session): Promise<string | undefined> {
  try {
    const { kid } = await session.signer();
    return kid;
  } catch (error) {
    if (isCode(error, 'CONFIG_INVALID')) return undefined;
    throw error;
  }
}
