import type { AnnouncementBody } from '../messaging/announce.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';

/** The announcements of a deployment, made from its record. Pure. */

export interface Addressed {
  /** `prepare` makes instances ready to switch; `deploy` makes them switch. */
  kind: 'prepare' | 'deploy';
  /** The instances it is for; all when left out. */
  targets?: readonly string[] | undefined;
  /** The name of the reply queue. */
  replyTo?: string | undefined;
}

/** The announcement of what the record changes. */
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

/** Instances that are prepared and have not switched drop the deployment. */
export function cancelAnnouncement({ deployment, service, sequence }: DeploymentRecord): AnnouncementBody {
  return { kind: 'cancel', deployment, service, sequence };
}
