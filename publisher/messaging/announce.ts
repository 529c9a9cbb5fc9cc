import { PublishCommand } from '@aws-sdk/client-sns';
import { type Announcement, announcement, LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import { awsError } from '../../shared/aws-errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';

type Stamp = 'v' | 'env' | 'issuedAt' | 'expiresAt' | 'issuedBy';
type Unstamped<A> = A extends unknown ? { [K in keyof A as K extends Stamp ? never : K]: A[K] } : never;

/** An announcement before it is dated and signed. */
export type AnnouncementBody = Unstamped<Announcement>;

/** The longest message that SNS takes, bytes. */
const LONGEST_MESSAGE = 256 * 1024;

/** From when to when an announcement is valid, ISO 8601. */
export interface Validity {
  issuedAt: string;
  expiresAt: string;
}

/** Valid from now for `lifeMs`, but not for longer than the agents' queues keep a message (`LONGEST_EXPIRY_MS`). */
export function validity(clock: Pick<Clock, 'now'>, lifeMs: number): Validity {
  const now = clock.now();
  const life = Math.min(lifeMs, LONGEST_EXPIRY_MS);
  return { issuedAt: new Date(now).toISOString(), expiresAt: new Date(now + life).toISOString() };
}

/**
 * Signs the announcement and publishes it to the topic.
 * @throws TOPIC_NOT_FOUND; AWS_* (after AWS_UNREACHABLE it may have been sent); USAGE when it is too large.
 */
export async function announce(session: Session, body: AnnouncementBody, valid: Validity): Promise<void> {
  const signer = await session.signer();
  const payload = announcement.parse({
    v: 1,
    ...body,
    env: session.env.name,
    issuedBy: session.who,
    ...valid,
  });
  const message = await signer.sign('td-announcement+jws', payload);
  if (message.length > LONGEST_MESSAGE) {
    throw new TriggerDeployError(
      'USAGE',
      `the announcement is too large for SNS: ${message.length} bytes, at most ${LONGEST_MESSAGE}`,
      {
        hint: 'select fewer instances with --only or --where, or leave both out to deploy to all',
      },
    );
  }
  try {
    const command = new PublishCommand({ TopicArn: session.env.topic, Message: message });
    const { MessageId } = await session.aws.sns.send(command);
    // The SDK takes any page with the status 200 for success, such as one of a proxy.
    if (MessageId === undefined) throw new Error('the answer is not an answer of SNS');
  } catch (error) {
    throw awsError(error, `publish to ${session.env.topic}`);
  }
}

/**
 * Asks the agents of a service to read the desired state now. Agents read it every few minutes anyway: a failure is
 * only a warning. Returns whether they were asked.
 */
export async function announceConverge(session: Session, service: string): Promise<boolean> {
  try {
    const deployment = newUlid(session.clock.now());
    await announce(
      session,
      { kind: 'converge', deployment, service },
      validity(session.clock, LONGEST_EXPIRY_MS),
    );
    return true;
  } catch (error) {
    const { message } = awsError(error, 'announce the new desired state');
    const text = `${message}; agents read it by themselves within minutes`;
    note(session, text, 'warning');
    return false;
  }
}
