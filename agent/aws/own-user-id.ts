import type { Aws } from '../../shared/aws.ts';
import { callerUserId } from '../../shared/caller-identity.ts';
import type { Log } from '../../shared/log.ts';
import { speaksFor } from '../../shared/role-session.ts';
import type { Finding } from '../deploy/ports.ts';
import { finding } from './aws-call.ts';

/** The config of the instance, as far as it says who it is for AWS. */
export interface NamedSession {
  instance: string;
  /** The role session that publishers expect for this instance; the instance id when left out. */
  session: string | undefined;
}

/** After this time STS is asked again, ms: an instance can get another role while the agent runs. */
const FRESH_MS = 10 * 60_000;

/**
 * A function that returns the `aws:userid` of this instance. While STS does not answer, the last answer counts. If
 * publishers would not believe this userid, that is logged once.
 */
export function createOwnUserId(
  aws: Aws,
  { instance, session }: NamedSession,
  log: Log,
  now: () => number = () => performance.now(),
): (signal: AbortSignal) => Promise<string> {
  let known: string | undefined;
  let askedAt = 0;
  return async (signal) => {
    if (known !== undefined && now() - askedAt < FRESH_MS) return known;
    askedAt = now();
    const found = await callerUserId(aws, signal).catch((error: unknown) => {
      if (known === undefined || signal.aborted) throw error;
      return known;
    });
    if (known !== found && !speaksFor(found, instance, session)) {
      const { what, hint } = mistaken(found, { instance, session });
      log.warn({ userId: found }, `${what}: ${hint}`);
    }
    known = found;
    return found;
  };
}

/** Whether publishers believe what this instance says. Changes nothing. */
export async function probeUserId(aws: Aws, named: NamedSession, signal: AbortSignal): Promise<Finding> {
  let found = '';
  const asked = await finding('ask STS who this is', signal, async () => {
    found = await callerUserId(aws, signal);
    return `AWS knows this instance as ${found}`;
  });
  return asked.ok && !speaksFor(found, named.instance, named.session) ? mistaken(found, named) : asked;
}

function mistaken(found: string, { instance, session }: NamedSession): Finding & { hint: string } {
  return {
    ok: false,
    what: `AWS knows this instance as ${found}, but publishers believe what ${session ?? instance} says of ${instance}`,
    hint: `use an instance profile, or name the role session: \`session: NAME\` in agent.yaml, and \`sessions: { ${instance}: NAME }\` under the environment in trigger-deploy.yaml`,
  };
}
