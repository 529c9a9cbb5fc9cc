import * as z from 'zod';
import { artifacts } from './manifest.ts';
import { envName, instanceId, serviceName, ulid, versionName } from './names.ts';

/**
 * The signed message on the topic. It holds no command, path, URL, bucket or key: it can only choose among what the
 * config of the instance allows.
 */

/** How long an announcement can be valid at most, ms. An agent's queue keeps messages for the same time. */
export const LONGEST_EXPIRY_MS = 60 * 60 * 1000;

const common = {
  v: z.literal(1),
  /** The id of the deployment. A `roll-call` or a `converge` belongs to no deployment and has a new id. */
  deployment: ulid,
  env: envName,
  issuedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  issuedBy: z.string().max(256),
  reason: z.string().max(1024).optional(),
  /** The name of the publisher's reply queue, in the agent's own account and region. */
  replyTo: z.string().max(80).optional(),
  targets: z.array(instanceId).max(5000).optional(),
};

const change = {
  service: serviceName,
  version: versionName,
  sequence: z.int().min(1),
  /** `restart`: the running version is restarted. */
  action: z.enum(['deploy', 'rollback', 'restart']),
  artifacts,
};

export const announcement = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('deploy'), ...common, ...change }),
  z.looseObject({ kind: z.literal('prepare'), ...common, ...change }),
  z.looseObject({ kind: z.literal('cancel'), ...common, service: serviceName, sequence: z.int().min(1) }),
  z.looseObject({ kind: z.literal('converge'), ...common, service: serviceName }),
  z.looseObject({ kind: z.literal('roll-call'), ...common, service: serviceName.optional() }),
]);
export type Announcement = z.infer<typeof announcement>;
export type ChangeAnnouncement = Extract<Announcement, { kind: 'deploy' | 'prepare' }>;
