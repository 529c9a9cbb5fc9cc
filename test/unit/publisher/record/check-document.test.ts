import { expect, test } from 'vitest';
import type { Checks } from '../../../../publisher/record/check-schema.ts';
import { digestOf, documentOf, recordOf } from '../../../../publisher/record/deployment-document.ts';
import {
  type DeploymentDocument,
  type DeploymentRecord,
  deploymentDocument,
} from '../../../../publisher/record/deployment-schema.ts';
import { newUlid } from '../../../../shared/names.ts';

const CHECKS: Checks = {
  alarms: [{ name: '5xx', insufficientData: 'fail' }],
  watchAlarmsMs: 60_000,
  verify: { run: ['smoke'], timeoutMs: 1000 },
};
const at = new Date(0).toISOString();
const record: DeploymentRecord = {
  ...{
    deployment: newUlid(1),
    env: 'dev',
    service: 'payments',
    version: '2',
    previous: '1',
    action: 'deploy',
  },
  ...{ sequence: 1, issuedBy: 'ann@desk', from: { user: 'ann', host: 'desk' }, expected: ['i-1'] },
  artifacts: [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' }],
  policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 1000 },
  ...{ strategy: 'rolling', desiredFirst: false, announcedAt: at, expiresAt: at, status: 'announced' },
  checks: CHECKS,
};
const read = (document: DeploymentDocument) => deploymentDocument.parse(JSON.parse(JSON.stringify(document)));

test('which checks are demanded is a part of the order, and cannot change', () => {
  const first = read(documentOf(record));
  expect(first.head.checks).toEqual(CHECKS);
  for (const checks of [undefined, { ...CHECKS, skipped: true as const }, { ...CHECKS, alarms: [] }]) {
    expect(() => documentOf({ ...recordOf(first), checks }, first)).toThrow('must not change');
  }
});

test('what they gave moves on, and decisions about the deployment stay valid', () => {
  const first = read(documentOf(record));
  const verify = [{ phase: 'canary' as const, startedAt: at, endedAt: at, passed: true, output: 'good\n' }];
  const second = read(documentOf({ ...recordOf(first), checked: { watchingSince: at, verify } }, first));
  expect(recordOf(second).checked).toEqual({ watchingSince: at, verify });
  expect(digestOf(second.head)).toBe(digestOf(first.head));
});

test('a record without checks stays valid', () => {
  const { checks: _, ...older } = record;
  expect(recordOf(read(documentOf(older))).checks).toBeUndefined();
});

test('what a later publisher adds to order and progress is kept by this one', () => {
  const first = documentOf(record);
  const later = read({
    ...first,
    head: { ...first.head, checks: { ...CHECKS, traces: ['slow'] }, later: 1 },
    checked: { traces: [at] },
  });
  const again = read(documentOf({ ...recordOf(later), status: 'succeeded' }, later));
  expect(again.head).toEqual(later.head);
  expect(again.checked).toEqual({ traces: [at] });
});
