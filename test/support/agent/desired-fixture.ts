import type { Desired } from '../../../shared/desired.ts';
import { newUlid } from '../../../shared/names.ts';
import { artifactsOf } from '../fleet/fake-ports.ts';

export const SINCE = '2026-01-31T08:00:00.000Z';
/** What the desired state of payments is, unless a test changes it. */
export const WANT: Desired = {
  v: 1,
  env: 'dev',
  service: 'payments',
  version: '1.1',
  sequence: 7,
  deployment: newUlid(7),
  action: 'deploy',
  artifacts: artifactsOf('1.1'),
  changedAt: SINCE,
  changedBy: 'ci',
  nonce: 'n',
};
