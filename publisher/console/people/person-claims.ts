import { cleanLine } from '../../../shared/clean-text.ts';
import type { Person } from '../../record/origin.ts';

/** What the claims of a verified token say about who sends a request. Pure. */

export type Claims = Readonly<Record<string, unknown>>;

/** The name stands in signed records, in notices and in logs. RFC 5321, section 4.5.3.1.3: an address has 254 characters at most. */
const LONGEST_NAME = 254;
const LONGEST_GROUP = 200;
const MOST_GROUPS = 1000;

/**
 * Whether a name is taken as it is. One that would have to be cleaned is refused instead: cleaned, it could be the name of
 * another person.
 */
export const isCleanName = (name: unknown): name is string =>
  typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME && cleanLine(name) === name;

const isCleanGroup = (name: unknown): name is string =>
  typeof name === 'string' && name !== '' && name.length <= LONGEST_GROUP && cleanLine(name) === name;

/** The groups that can be in a rule. Others are left out: they give nothing. */
export const cleanGroups = (groups: readonly unknown[]): string[] =>
  groups.slice(0, MOST_GROUPS).filter(isCleanGroup);

/** The claim `name`; else, with dots in the name, the claim inside of claims, such as `custom.groups`. */
function claimOf(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let here: unknown = claims;
  for (const step of name.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Claims)[step];
  }
  return here;
}

/**
 * Whether a token is of a program. No standard says it, so each sign that an issuer documents counts:
 * `idtyp: app` (Microsoft, "Access token claims reference"), `gty: client-credentials` (Auth0), `sub` is the client
 * itself (RFC 9068, section 2.2; Okta's `cid`), no `sub` but a `common_name` (Cloudflare, "Application token": a service
 * token), `preferred_username: service-account-…` (Keycloak), an address of a service account (Google).
 */
function isProgram(claims: Claims, name: unknown): boolean {
  const { sub, idtyp, gty, common_name: commonName, preferred_username: username } = claims;
  const clients = [claims.client_id, claims.cid, claims.azp, claims.appid];
  return (
    idtyp === 'app' ||
    gty === 'client-credentials' ||
    typeof sub !== 'string' ||
    sub === '' ||
    clients.includes(sub) ||
    (typeof commonName === 'string' && commonName !== '' && name === undefined) ||
    (typeof username === 'string' && username.startsWith('service-account-')) ||
    (typeof name === 'string' && name.toLowerCase().endsWith('.gserviceaccount.com'))
  );
}

/** An address that its issuer calls not verified can be anybody's. Cognito sends the claim as a text. */
const isUnverified = (claims: Claims, claim: string) =>
  claim === 'email' &&
  Object.hasOwn(claims, 'email_verified') &&
  !['true', true].includes(claims.email_verified as string | boolean);

/**
 * The person of a verified token; undefined when the token says nothing that can be shown. A token without the claim of
 * the person, or with an address that is not verified, may only look.
 */
export function personOfClaims(
  claims: Claims,
  of: { person: string; groups: string; via: string; iss: string },
): Person | undefined {
  const claimed = claimOf(claims, of.person);
  if (claimed !== undefined && !isCleanName(claimed)) return undefined;
  const sub = claims.sub;
  const isNamed = claimed !== undefined && !isUnverified(claims, of.person);
  const other = [sub, claims.common_name, claims.client_id].find(isCleanName);
  const name = isNamed ? claimed : `unnamed ${other ?? 'program'}`.slice(0, LONGEST_NAME);
  const groups = claimOf(claims, of.groups);
  return {
    name,
    ...(isCleanName(sub) && { verified: { iss: of.iss, sub } }),
    via: of.via,
    groups: cleanGroups(Array.isArray(groups) ? groups : [groups]),
    isMachine: isProgram(claims, claimed),
    ...(!isNamed && { mayOnlyLook: true }),
  };
}
