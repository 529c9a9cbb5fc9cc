import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { HeaderTrust } from '../../config/schema-console.ts';
import type { Person } from '../../record/origin.ts';
import type { Refusal } from '../ports.ts';
import { cleanGroups, isCleanName } from './person-claims.ts';
import { notIdentified, onlyValue } from './person-refusal.ts';

/** `openssl rand -hex 32` makes 64. */
const SHORTEST_SECRET = 32;
const LONGEST_SECRET = 4096;

/**
 * The person whom a proxy on this machine names in a header, with a secret in another header that proves the proxy. There
 * is no token: the person has no issuer and no subject, so that `confirm: other` does not count them.
 * @throws CONFIG_INVALID when the file of the secret cannot be read, or the secret is too short.
 */
export async function headerReader(
  trust: HeaderTrust,
  via: string,
): Promise<(headers: NodeJS.Dict<string[]>) => { person: Person } | { refusal: Refusal }> {
  const secret = digest(await readSecret(trust.secretFile));
  return (headers) => {
    const proof = onlyValue(headers, trust.secretHeader);
    if ('refusal' in proof) return proof;
    if (!timingSafeEqual(digest(proof.value), secret)) {
      return { refusal: notIdentified(`the secret in ${trust.secretHeader} is another one`) };
    }
    const name = onlyValue(headers, trust.header);
    if ('refusal' in name) return name;
    if (!isCleanName(name.value)) return { refusal: notIdentified(`${trust.header} is no name`) };
    const groups = groupsIn(headers, trust.groupsHeader);
    if ('refusal' in groups) return groups;
    return { person: { name: name.value, via, groups: groups.groups, isMachine: false } };
  };
}

/** oauth2-proxy, "Headers": `X-Forwarded-Groups` has the groups with commas between them. */
function groupsIn(
  headers: NodeJS.Dict<string[]>,
  name: string | undefined,
): { groups: string[] } | { refusal: Refusal } {
  const values = name === undefined ? [] : (headers[name] ?? []);
  if (values.length > 1) return { refusal: notIdentified(`several ${name}`) };
  const groups = (values[0] ?? '').split(',').map((group) => group.trim());
  return { groups: cleanGroups(groups) };
}

/** Of one length, so that the time of the comparison says nothing. */
const digest = (text: string) => createHash('sha256').update(text).digest();

async function readSecret(file: string): Promise<string> {
  let secret: string;
  try {
    secret = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new TriggerDeployError('CONFIG_INVALID', `cannot read ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'console.trust.secretFile is the file with the secret that the proxy sends',
    });
  }
  if (secret.length >= SHORTEST_SECRET && secret.length <= LONGEST_SECRET && /^[\x21-\x7e]+$/.test(secret)) {
    return secret;
  }
  throw new TriggerDeployError(
    'CONFIG_INVALID',
    `${file} has no secret of ${SHORTEST_SECRET} or more characters without spaces`,
    { hint: 'openssl rand -hex 32 makes one' },
  );
}
