import { TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import type { Session } from '../session.ts';

/** Whether the instances accept what the signing key signs. An instance that does not refuses every announcement. */

/** How many instances an error names. */
const NAMED = 10;

/** What the instance says of the key `kid`; undefined when it does not say which keys it trusts. Pure. */
export const trustsKey = ({ trusts }: Pick<InstanceRecord, 'trusts'>, kid: string): boolean | undefined =>
  trusts?.includes(kid);

/**
 * Refuses a deployment that more than `allowMissing` of its instances would not accept, before anything is announced:
 * `signingKey` or the alias of KMS was changed before the instances got the new public key.
 * @throws KEY_INVALID.
 */
export async function refuseIfUntrusted(
  session: Session,
  service: string,
  instances: readonly InstanceRecord[],
  allowMissing: number,
): Promise<void> {
  const { kid } = await session.signer();
  const without = instances.filter((one) => trustsKey(one, kid) === false).map(({ instance }) => instance);
  if (without.length <= allowMissing) return;
  const { name } = session.env;
  throw new TriggerDeployError(
    'KEY_INVALID',
    `${without.length} of ${instances.length} instances of ${service} do not trust the signing key (kid ${kid}): ${listed(without)}`,
    {
      hint: `add its public key to trust.keys of their agent.yaml and restart the agents, or set signingKey back; trigger-deploy keygen --rotate --check --env ${name} shows who trusts it; --allow-missing ${without.length} deploys without them`,
    },
  );
}

const listed = (names: readonly string[]) =>
  names.length > NAMED
    ? `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`
    : names.join(', ');
