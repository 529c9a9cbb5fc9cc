import { isDeepStrictEqual } from 'node:util';
import { type PolicyDocument, policyOf, ROLES, type Role } from '../../../publisher/setup/policies.ts';
import type { Features, PolicyPlace } from '../../../publisher/setup/statements.ts';
import { EVERYTHING } from './places.ts';

/**
 * The policies in the documents. A block stands between `<!-- iam: NAME -->` and `<!-- end: NAME -->`, and NAME is `ROLE`, or
 * `ROLE with FEATURE` for what the feature adds to the role's policy. `npm run policies` writes them, and a test compares.
 */

const BLOCK = /<!-- iam: ([^>]+?) -->\n[\s\S]*?<!-- end: \1 -->/g;

/** The page with its blocks as the policies are now. @throws for a block with an unknown name. */
export function withPolicies(page: string): string {
  return page.replace(
    BLOCK,
    (_, name: string) => `<!-- iam: ${name} -->\n\`\`\`json\n${blockOf(name)}\n\`\`\`\n<!-- end: ${name} -->`,
  );
}

/** The page without its blocks: what people wrote. */
export const withoutPolicies = (page: string) => page.replace(BLOCK, '');

function blockOf(name: string): string {
  const [role = '', feature] = name.split(' with ');
  if (!(ROLES as string[]).includes(role)) throw new Error(`the block "iam: ${name}" names no role`);
  const bare: PolicyPlace = { ...EVERYTHING, features: {} };
  const before = policyOf(role as Role, bare);
  if (feature === undefined) return text(before, '');
  const value = EVERYTHING.features[feature as keyof Features];
  if (value === undefined) throw new Error(`the block "iam: ${name}" names no feature`);
  const after = policyOf(role as Role, { ...bare, features: { [feature]: value } });
  const added = after.Statement.filter(
    (one) => !before.Statement.some((other) => isDeepStrictEqual(one, other)),
  );
  if (added.length === 0) throw new Error(`the block "iam: ${name}": the feature adds nothing to this role`);
  return text(added.length === 1 ? added[0] : added, '');
}

const WIDTH = 118;

/** JSON with two spaces per level, in which what fits stands on one line. */
function text(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  const deeper = `${indent}  `;
  const parts = isList
    ? value.map((one) => text(one, deeper))
    : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${text(one, deeper)}`);
  const space = isList ? '' : ' ';
  const line = `${open}${space}${parts.join(', ')}${space}${close}`;
  const isLeaf = isList || Object.values(value).every((one) => typeof one !== 'object' || Array.isArray(one));
  const mayJoin = isLeaf && !(value as Partial<PolicyDocument>).Statement && !('Sid' in value);
  if (mayJoin && !line.includes('\n') && indent.length + line.length <= WIDTH - 20) return line;
  return `${open}\n${parts.map((part) => deeper + part).join(',\n')}\n${indent}${close}`;
}
