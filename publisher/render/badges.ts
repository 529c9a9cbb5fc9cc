import type { PastDeployment } from '../record/local-deployment.ts';

/** What was unusual about a deployment, a word or two each, for lists of deployments. Pure. */
export function badgesOf(deployment: PastDeployment): string[] {
  const { line, despitePause, rolling, counts, checks, local, targets, unsigned, rollbackOf } = deployment;
  const missing = rolling?.missing.length ?? counts?.silent ?? 0;
  return [
    line?.jumped === undefined ? '' : 'JUMPED',
    despitePause === undefined ? '' : 'DESPITE PAUSE',
    checks?.skipped ? 'CHECKS SKIPPED' : '',
    missing === 0 ? '' : `MISSING ${missing}`,
    targets === undefined ? '' : `ONLY ${targets.length}`,
    local === undefined ? '' : 'LOCAL',
    rollbackOf === undefined ? '' : 'ROLLBACK',
    deployment.rolledBackBy === undefined ? '' : 'ROLLED BACK',
    unsigned ? 'NOT SIGNED' : '',
  ].filter(Boolean);
}
