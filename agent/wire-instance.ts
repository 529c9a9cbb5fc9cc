import packageJson from '../package.json' with { type: 'json' };
import { MOST_TAGS } from '../shared/report.ts';
import { loadPublicKey, trustNone, type Verifier, verifierOf } from '../shared/signing.ts';
import { readInstanceMetadata } from './aws/instance-metadata.ts';
import type { AgentConfig } from './config.ts';
import type { Identity } from './deploy/ports.ts';

/** The identity of this instance, the version of its agent, and the keys whose announcements it accepts. */

export const VERSION = packageJson.version;

/**
 * The identity of this instance: from the config, or else from the instance metadata.
 * @throws CONFIG_INVALID, also while the metadata service does not answer.
 */
export async function identify(config: AgentConfig, signal: AbortSignal): Promise<Identity> {
  const agent = { env: config.env, agentVersion: VERSION };
  if (config.instance !== undefined) {
    return { ...agent, instance: config.instance, zone: undefined, tags: config.tags };
  }
  const { instance, zone, tags } = await readInstanceMetadata(signal, {
    endpoint: process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT,
  });
  return { ...agent, instance, zone, tags: mergeTags(tags, config.tags) };
}

/** The tags of the config override those of the metadata. They come first, so that a cut at MOST_TAGS keeps them. */
function mergeTags(metadata: Record<string, string>, config: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...config, ...metadata, ...config }).slice(0, MOST_TAGS));
}

/** Where the settings for AWS are, for hints. `file` is the path of the config. */
export const placesOf = (file: string) => ({ region: file, bucket: file, topic: file });

/** @throws KEY_INVALID. */
export async function loadVerifier({ trust }: AgentConfig): Promise<Verifier> {
  if (trust === 'none') return trustNone();
  return verifierOf(await Promise.all(trust.keys.map(loadPublicKey)));
}
