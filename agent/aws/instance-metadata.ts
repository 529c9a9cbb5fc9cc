import { cleanTail } from '../../shared/clean-text.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { instanceId } from '../../shared/names.ts';
import { MOST_TAGS, TAG_LIMITS } from '../../shared/report.ts';
import { deadline, retry } from '../../shared/retry.ts';

export interface InstanceMetadata {
  /** `i-0abc…` */
  instance: string;
  /** `eu-west-1a` */
  zone: string | undefined;
  region: string | undefined;
  /** The tags; empty if the instance does not allow tags in its metadata. */
  tags: Record<string, string>;
}

/** EC2 User Guide, "Use the Instance Metadata Service": link-local, the same on every instance. */
const ENDPOINT = 'http://169.254.169.254';
/** The timeout of one request, ms. The service usually answers within milliseconds. */
const REQUEST_MS = 1000;
/** The service may not answer while the instance boots, and it throttles. */
const TRIES = { attempts: 4, first: 200, longest: 1000 };
const TOKEN_TTL_S = '60';
const TAGS = '/latest/meta-data/tags/instance';
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
  const endpoint = options.endpoint || ENDPOINT;
  try {
    const token = await ask('PUT', '/latest/api/token', {
      'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_TTL_S,
    });
    const withToken = { 'x-aws-ec2-metadata-token': token };
    const [instance, zone, region] = await Promise.all(
      ['instance-id', 'placement/availability-zone', 'placement/region'].map((path) =>
        ask('GET', `/latest/meta-data/${path}`, withToken),
      ),
    );
    // Validates the id: a captive portal or a proxy answers any request with its own page.
    return {
      instance: instanceId.parse(instance),
      zone: zone || undefined,
      region: region || undefined,
      tags: await readTags(withToken),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw new TriggerDeployError(
      'CONFIG_INVALID',
      `cannot read the instance metadata from ${endpoint} (${why(error)})`,
      { cause: error, hint: 'on a machine that is not EC2, set `instance:` in agent.yaml' },
    );
  }

  async function readTags(withToken: Record<string, string>): Promise<Record<string, string>> {
    const list = await ask('GET', TAGS, withToken).catch((error: unknown) => {
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
        const value = cleanTail(await ask('GET', `${TAGS}/${name}`, withToken)).replaceAll(/\s+/g, ' ');
        tags[name] = value.slice(0, TAG_LIMITS.value);
      });
      await Promise.all(read);
    }
    return tags;
  }

  /** The text of the answer; empty for a 404. */
  function ask(method: string, path: string, headers: Record<string, string>): Promise<string> {
    return retry(
      async () => {
        using limit = deadline(REQUEST_MS, signal, `${method} ${path}`);
        const url = new URL(path, endpoint);
        const response = await fetch(url, { method, headers, redirect: 'error', signal: limit.signal });
        const text = (await response.text()).trim();
        if (response.status === 404) return '';
        if (!response.ok)
          throw new MetadataError(`${method} ${path} answered ${response.status}`, response.status);
        return text;
      },
      { ...TRIES, signal, retryable: (error) => !(error instanceof MetadataError) || error.isRetryable },
    );
  }
}

class MetadataError extends Error {
  readonly isRetryable: boolean;

  constructor(message: string, status: number) {
    super(message);
    this.isRetryable = status === 429 || status >= 500;
  }
}

/** The reason of a failed request. The error of fetch says only "fetch failed"; its cause has the reason. */
function why(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return messageOf(cause) || String((cause as NodeJS.ErrnoException).code);
  return messageOf(error);
}
