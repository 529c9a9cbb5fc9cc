import * as z from 'zod';

/**
 * Who an instance is for AWS. The `aws:userid` of a role session is `ROLEID:SESSION`, and with an instance profile the
 * session is the instance id (IAM User Guide, "IAM JSON policy elements: Variables and tags"). An instance may write
 * below keys that end in its own userid only.
 */

/** The role sessions (or the userids of users) of the instances whose session is not the instance id. */
export type Sessions = Readonly<Record<string, string>>;

/** Of a role session, or of a user, which has no session. */
export const userId = z
  .string()
  .regex(/^[A-Z0-9]{4,128}(:[A-Za-z0-9_+=,.@-]{2,64})?$/, 'expected an aws:userid, such as AROA…:i-0abc123');

/** The name of a role session, by the AssumeRole page of the STS API Reference. */
export const sessionName = z
  .string()
  .regex(
    /^[A-Za-z0-9_+=,.@-]{2,64}$/,
    'expected the name of a role session: 2 to 64 of A-Z a-z 0-9 _ + = , . @ -',
  );

/** The name of the role session in a userid; undefined for a user. */
function sessionOf(id: string): string | undefined {
  const colon = id.indexOf(':');
  return colon === -1 ? undefined : id.slice(colon + 1);
}

/**
 * Whether `id` may speak for `instance`, by the sessions of the config. A session that is named there speaks for that
 * instance only, and not for one that has its name. Pure.
 */
export function maySpeakFor(id: string, instance: string, sessions: Sessions): boolean {
  const session = Object.hasOwn(sessions, instance) ? sessions[instance] : undefined;
  const isTaken = Object.values(sessions).some((one) => one === id || one === sessionOf(id));
  return (session !== undefined || !isTaken) && speaksFor(id, instance, session);
}

/**
 * Whether `id` may speak for `instance`: its session has the name of the instance. `session` is the session (or the
 * userid of a user) that the config names for the instance instead. Pure.
 */
export function speaksFor(id: string, instance: string, session: string | undefined): boolean {
  if (session !== undefined) return sessionOf(id) === session || id === session;
  return sessionOf(id) === instance;
}
