import { expect, test } from 'vitest';
import { openReportLooks } from '../../../../../publisher/console/looks/look-report.ts';
import type { Environments } from '../../../../../publisher/console/ports.ts';
import { TriggerDeployError } from '../../../../../shared/errors.ts';

/** Where a deployment was, in environments of which some cannot be read. */

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const NEVER = new AbortController().signal;
const fails = (code: 'AWS_DENIED' | 'DEPLOYMENT_NOT_FOUND') => async () => {
  throw new TriggerDeployError(code, 'no');
};

function find(finds: Record<string, () => Promise<string>>, signal = NEVER, only?: string) {
  const environments = {
    names: async () => Object.keys(finds),
    look: async (env: string) => ({ record: { deployments: { find: finds[env] } } }),
  } as unknown as Environments;
  return openReportLooks(environments).find(ID, signal, only);
}

test('an environment that is denied or does not answer keeps no other from being found', async () => {
  const hangs = () => new Promise<string>(() => undefined);
  const all = { dev: fails('AWS_DENIED'), stg: hangs, prd: async () => 'payments' };
  expect(await find(all)).toEqual({ env: 'prd', service: 'payments' });
  expect(await find(all, NEVER, 'prd')).toEqual({ env: 'prd', service: 'payments' });
  const soon = AbortSignal.abort(new Error('late'));
  await expect(find({ ...all, prd: fails('DEPLOYMENT_NOT_FOUND') }, soon)).rejects.toThrow('late');
});

test('what no environment has is not there; where one is denied nobody knows', async () => {
  const missing = fails('DEPLOYMENT_NOT_FOUND');
  await expect(find({ dev: missing, prd: missing })).rejects.toThrow('no environment has');
  await expect(find({ dev: missing, prd: fails('AWS_DENIED') })).rejects.toMatchObject({
    code: 'AWS_DENIED',
  });
});
