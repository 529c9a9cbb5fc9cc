import type { AnnouncementBody } from '../messaging/announce.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';

/** The announcements of a deployment, made from its record. Pure. */

/** What an announcement needs beside the record: its kind, the instances, and where to reply. */
export interface Addressed {
  /** `prepare` makes instances ready to switch; `deploy` makes them switch. */
  kind: 'prepare' | 'deploy';
  /** The instances that the announcement is for; all instances when left out. */
  targets?: readonly string[] | undefined;
  /** The name of the reply queue. */
  replyTo?: string | undefined;
}

/** The announcement of the change in `record`. */
export function changeAnnouncement(
  record: DeploymentRecord,
  { kind, targets, replyTo }: Addressed,
): AnnouncementBody {
  const { deployment, service, version, sequence, action, artifacts, reason } = record;
  return {
    ...{ kind, deployment, service, version, sequence, action, artifacts, reason },
    targets: targets && [...targets],
    replyTo,
  };
}

/** The announcement that cancels a deployment: an instance that has not switched yet drops it. */
export function cancelAnnouncement({ deployment, service, sequence }: DeploymentRecord): AnnouncementBody {
  return { kind: 'cancel', deployment, service, sequence };
}
