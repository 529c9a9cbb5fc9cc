import { describe, expect, it } from 'vitest';
import { rollbackTarget, strayVersion, versionBefore } from '../../../../publisher/plan/rollback-target.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import type { Desired } from '../../../../shared/desired.ts';

const desired = (version: string, previous?: string) => ({ version, previous }) as Desired;
const record = (change: Partial<DeploymentRecord>) =>
  ({
    action: 'deploy',
    status: 'succeeded',
    counts: { succeeded: 2 },
    previous: null,
    ...change,
  }) as DeploymentRecord;

describe('a rollback without --to', () => {
  it('returns to the version desired before', () => {
    expect(rollbackTarget(desired('1.2', '1.1'), [record({ version: '1.2' })])).toBe('1.1');
  });

  it.each<[string, Partial<DeploymentRecord>]>([
    ['timed out', { status: 'timed-out' }],
    ['was never settled', { status: 'announced' }],
    ['failed and stayed on an instance', { status: 'failed', counts: { succeeded: 1, failed: 1 } }],
    ['left an instance broken', { status: 'failed', counts: { broken: 1 } }],
  ])('undoes the newest deployment when it %s: back to the desired state', (_title, change) => {
    const last = record({ version: '1.3', ...change });
    expect(rollbackTarget(desired('1.2', '1.1'), [last])).toBe('1.2');
    expect(strayVersion(desired('1.2', '1.1'), last)).toBe('1.3');
  });

  it('ignores a newest deployment that is older than the desired state: it was put back', () => {
    const now = { ...desired('1.2', '1.1'), sequence: 5 };
    const put = (sequence: number) => record({ version: '1.3', status: 'announced', sequence });
    expect(strayVersion(now, put(4))).toBeUndefined();
    expect(rollbackTarget(now, [put(4)])).toBe('1.1');
    expect(rollbackTarget(now, [put(6)])).toBe('1.2');
  });

  it('ignores a newest deployment that is on no instance', () => {
    const last = record({ version: '1.3', status: 'failed', counts: { 'rolled-back': 2 } });
    expect(rollbackTarget(desired('1.2', '1.1'), [last])).toBe('1.1');
  });

  it('never returns to a version that was rolled back from', () => {
    const history = [
      record({ version: '1.1', action: 'rollback', previous: '1.2' }),
      record({ version: '1.2', previous: '1.1' }),
      record({ version: '1.1', previous: '1.0' }),
      record({ version: '1.0' }),
    ];
    expect(rollbackTarget(desired('1.1'), history)).toBe('1.0');
    expect(versionBefore('1.1', history)).toBe('1.0');
  });

  it('finds no version where no other has succeeded', () => {
    expect(rollbackTarget(undefined, [])).toBeUndefined();
    const only = [record({ version: '1.0' }), record({ version: '0.9', status: 'failed' })];
    expect(rollbackTarget(desired('1.0'), only)).toBeUndefined();
  });
});
