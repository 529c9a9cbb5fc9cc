import { messageOf } from '../../shared/errors.ts';
import { deadline } from '../../shared/retry.ts';
import type { Finding } from '../deploy/ports.ts';
import { METADATA_ENDPOINT, MetadataError, openMetadata } from './metadata-session.ts';

/** Whether the instance metadata can be read, and what is set otherwise than it should be. Changes nothing. */

const WITHOUT_TOKEN_MS = 1000;
const OPTIONS = 'aws ec2 modify-instance-metadata-options --instance-id';

/**
 * EC2 User Guide, "Configure the Instance Metadata Service options". Without tokens (IMDSv1) a service that fetches the
 * addresses of others gives away the role of this instance.
 */
export async function probeMetadata(
  signal: AbortSignal,
  endpoint: string = METADATA_ENDPOINT,
): Promise<Finding[]> {
  const session = openMetadata(endpoint);
  try {
    const id = (await session.get('instance-id', signal)) ?? 'INSTANCE';
    const tags = await session.get('tags/instance', signal).catch((error: unknown) => {
      if (error instanceof MetadataError) return undefined;
      throw error;
    });
    return [
      { ok: true, what: 'the instance metadata answers' },
      (await answersWithoutToken(endpoint, signal))
        ? {
            ...{
              id: 'metadata-token',
              ok: true,
              what: 'the instance metadata answers without a token (IMDSv1)',
            },
            hint: `${OPTIONS} ${id} --http-tokens required`,
          }
        : { id: 'metadata-token', ok: true, what: 'the instance metadata needs a token (IMDSv2)' },
      tags === undefined
        ? {
            ...{
              id: 'metadata-tags',
              ok: true,
              what: 'the metadata has no tags of the instance, for --where',
            },
            hint: `${OPTIONS} ${id} --instance-metadata-tags enabled`,
          }
        : { id: 'metadata-tags', ok: true, what: 'the metadata has the tags of the instance' },
    ];
  } catch (error) {
    signal.throwIfAborted();
    const isOff = error instanceof MetadataError && error.status === 403;
    const hint = isOff
      ? `${OPTIONS} INSTANCE --http-endpoint enabled`
      : `in a container, the answer needs a hop more: ${OPTIONS} INSTANCE --http-put-response-hop-limit 2; on a machine that is not EC2, set \`instance:\` in agent.yaml`;
    return [
      { ok: false, what: `cannot read the instance metadata from ${endpoint} (${messageOf(error)})`, hint },
    ];
  } finally {
    session.close();
  }
}

async function answersWithoutToken(endpoint: string, signal: AbortSignal): Promise<boolean> {
  using limit = deadline(WITHOUT_TOKEN_MS, signal, 'an answer without a token');
  try {
    const answer = await fetch(new URL('/latest/meta-data/instance-id', endpoint), {
      signal: limit.signal,
      redirect: 'manual',
    });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
