import type { DeploymentRecord } from '../record/deployment-schema.ts';

/** What a deployment changes, before it has an id, a sequence or instances. */
export interface Change
  extends Pick<
    DeploymentRecord,
    | 'service'
    | 'version'
    | 'artifacts'
    | 'action'
    | 'previous'
    | 'reason'
    | 'rollbackOf'
    | 'promotedFrom'
    | 'targets'
  > {}
