import { describe, expect, it } from 'vitest';
import { isProof } from '../../../../publisher/rollout/requires.ts';

describe('a proof is', () => {
  const digest = 'a'.repeat(64);
  const artifact = { name: 'app.jar', size: 3, sha256: digest, role: 'package' } as const;
  type Past = Parameters<typeof isProof>[0];
  const good: Past = {
    ...{ version: '1.0.0', action: 'deploy', status: 'succeeded', artifacts: [artifact] },
    counts: { succeeded: 2, silent: 1 },
  };
  it.each<[string, Partial<Past>, boolean]>([
    ['a deployment to all that succeeded', {}, true],
    ['a rollback to it', { action: 'rollback' }, true],
    ['a restart', { action: 'restart' }, false],
    ['of another version', { version: '1.0.1' }, false],
    ['that no instance ended in success', { counts: { prepared: 3 } }, false],
    ['that failed', { status: 'failed' }, false],
    ['that timed out', { status: 'timed-out' }, false],
    ['that is not settled', { status: 'announced' }, false],
    ['that was cancelled', { status: 'cancelled' }, false],
    ['to some instances', { targets: ['i-1'] }, false],
    ['of other bytes', { artifacts: [{ ...artifact, sha256: 'b'.repeat(64) }] }, false],
    ['of a config file with these bytes', { artifacts: [{ ...artifact, role: 'config' }] }, false],
    ['started on an instance', { artifacts: [] }, false],
    ['of one more package', { artifacts: [artifact, { ...artifact, sha256: 'c'.repeat(64) }] }, false],
  ])('%s', (_what, change, proves) => {
    expect(isProof({ ...good, ...change }, '1.0.0', [artifact])).toBe(proves);
  });
});
