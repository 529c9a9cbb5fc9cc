import { cleanTail } from '../../shared/clean-text.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { instanceId } from '../../shared/names.ts';
import { MOST_TAGS, TAG_LIMITS } from '../../shared/report.ts';
import { retry } from '../../shared/retry.ts';
import { METADATA_ENDPOINT, MetadataError, openMetadata } from './metadata-session.ts';

export interface InstanceMetadata {
  /** `i-0abc…` */
  instance: string;
  /** `eu-west-1a` */
  zone: string | undefined;
  region: string | undefined;
  /** The tags; empty if the instance does not allow tags in its metadata. */
  tags: Record<string, string>;
}

/** The service may not answer while the instance boots, and it throttles. */
const TRIES = { attempts: 4, first: 200, longest: 1000 };
const TAGS = 'tags/instance';
/** How many tags are read in parallel. There is a limit because the metadata service throttles requests. */
const TAG_LANES = 5;
/** The keys that EC2 allows for tags in the metadata (EC2 User Guide). */
const TAG_KEY = /^(?!\.{1,2}$)[A-Za-z0-9+\-=.,_:@]+$/;

/**
 * Reads the identity of this instance with IMDSv2. `endpoint` is EC2's by default. Each request is retried;
 * `signal` ends the read.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 *
 * @throws CONFIG_INVALID with a hint that names the setting to use on a machine without metadata.
 */
export async function readInstanceMetadata(
  signal: AbortSignal,
  options: { endpoint?: string | undefined } = {},
): Promise<InstanceMetadata> {
  const endpoint = options.endpoint || METADATA_ENDPOINT;
  const session = openMetadata(endpoint);
  try {
    const [instance, zone, region] = await Promise.all(
      ['instance-id', 'placement/availability-zone', 'placement/region'].map(ask),
    );
    // Validates the id: a captive portal or a proxy answers any request with its own page.
    return {
      instance: instanceId.parse(instance),
      zone: zone || undefined,
      region: region || undefined,
      tags: await readTags(),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw new TriggerDeployError(
      'CONFIG_INVALID',
      `cannot read the instance metadata from ${endpoint} (${why(error)})`,
      { cause: error, hint: 'on a machine that is not EC2, set `instance:` in agent.yaml' },
    );
  } finally {
    session.close();
  }

  async function readTags(): Promise<Record<string, string>> {
    const list = await ask(TAGS).catch((error: unknown) => {
      // The metadata service refuses the tags. The agent also works without them.
      if (error instanceof MetadataError && !error.isRetryable) return '';
      throw error;
    });
    const listed = list.split('\n').map((key) => key.trim());
    const names = listed
      .filter((key) => TAG_KEY.test(key) && key.length <= TAG_LIMITS.key)
      .slice(0, MOST_TAGS);
    const tags: Record<string, string> = {};
    for (let i = 0; i < names.length; i += TAG_LANES) {
      const read = names.slice(i, i + TAG_LANES).map(async (name) => {
        const value = cleanTail(await ask(`${TAGS}/${name}`)).replaceAll(/\s+/g, ' ');
        tags[name] = value.slice(0, TAG_LIMITS.value);
      });
      await Promise.all(read);
    }
    return tags;
  }

  /** The text at the path; empty where there is none. */
  async function ask(path: string): Promise<string> {
    const retryable = (error: unknown) => !(error instanceof MetadataError) || error.isRetryable;
    return (await retry(() => session.get(path, signal), { ...TRIES, signal, retryable })) ?? '';
  }
}

/** The reason of a failed request. An error for several addresses has no message, only a code. */
function why(error: unknown): string {
  return messageOf(error) || String((error as NodeJS.ErrnoException).code);
}
