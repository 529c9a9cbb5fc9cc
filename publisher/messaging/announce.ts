import { PublishCommand } from '@aws-sdk/client-sns';
import { type Announcement, announcement, LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import { awsError } from '../../shared/aws.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';

type Stamp = 'v' | 'env' | 'issuedAt' | 'expiresAt' | 'issuedBy';
type Unstamped<A> = A extends unknown ? { [K in keyof A as K extends Stamp ? never : K]: A[K] } : never;

/** What an announcement says, before it is dated and signed. */
export type AnnouncementBody = Unstamped<Announcement>;

/** SNS takes 256 KiB; bytes. */
const LONGEST_MESSAGE = 256 * 1024;

/** When an announcement made now with this life is dated and expires, ISO 8601; no life is longer than the queues keep it. */
export function dates(session: Session, lifeMs: number): { issuedAt: string; expiresAt: string } {
  const now = session.clock.now();
  const life = Math.min(lifeMs, LONGEST_EXPIRY_MS);
  return { issuedAt: new Date(now).toISOString(), expiresAt: new Date(now + life).toISOString() };
}

/**
 * Signs the announcement and puts it on the topic.
 * @throws TOPIC_NOT_FOUND, AWS_*, USAGE when it is too large; after AWS_UNREACHABLE it may have gone out.
 */
export async function announce(
  session: Session,
  body: AnnouncementBody,
  dated: { issuedAt: string; expiresAt: string },
): Promise<void> {
  const signer = await session.signer();
  const payload = announcement.parse({
    v: 1,
    ...body,
    env: session.env.name,
    issuedBy: session.who,
    ...dated,
  });
  const message = await signer.sign('td-announcement+jws', payload);
  if (message.length > LONGEST_MESSAGE) {
    throw new TriggerDeployError('USAGE', `the announcement has ${message.length} bytes, SNS takes 256 KiB`, {
      hint: 'name fewer instances, or none to reach all',
    });
  }
  try {
    await session.aws.sns.send(new PublishCommand({ TopicArn: session.env.topic, Message: message }));
  } catch (error) {
    throw awsError(error, `publish to ${session.env.topic}`);
  }
}

/**
 * Tells the agents of a service to read the desired state now. They would in a few minutes anyway: a failure
 * is only noted.
 */
export async function announceConverge(session: Session, service: string): Promise<void> {
  try {
    const deployment = newUlid(session.clock.now());
    await announce(session, { kind: 'converge', deployment, service }, dates(session, LONGEST_EXPIRY_MS));
  } catch (error) {
    const { message } = awsError(error, 'announce the new desired state');
    const text = `${message}; the agents find it by themselves within minutes`;
    note(session, text, 'warning');
  }
}
