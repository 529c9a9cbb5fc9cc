import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { policyOf, type ROLES } from '../../../publisher/setup/policies.ts';
import { withoutPolicies, withPolicies } from '../../support/iam/documents.ts';
import { EVERYTHING } from '../../support/iam/places.ts';

/** Every policy in the documents is made by publisher/setup/policies.ts. */

const pages = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');

test.each(pages)('%s has the policies as they are now; `npm run policies` writes them', (page) => {
  const text = readFileSync(page, 'utf8');
  expect(text).toBe(withPolicies(text));
});

test('no policy is written by hand', () => {
  for (const page of pages) {
    expect(withoutPolicies(readFileSync(page, 'utf8')), page).not.toMatch(/"(Action|Effect|Statement)":/);
  }
});

test('each role has its policy in a document, and each feature that adds to one', () => {
  const all = pages.map((page) => readFileSync(page, 'utf8')).join('\n');
  const sizeOf = (role: (typeof ROLES)[number], features: object) =>
    JSON.stringify(policyOf(role, { ...EVERYTHING, features })).length;
  const wanted = (['agent', 'publisher', 'reader'] as const).flatMap((role) => [
    role,
    ...Object.entries(EVERYTHING.features)
      .filter(([feature, value]) => sizeOf(role, { [feature]: value }) > sizeOf(role, {}))
      .map(([feature]) => `${role} with ${feature}`),
  ]);
  expect(wanted.filter((name) => !all.includes(`<!-- iam: ${name} -->`))).toEqual([]);
});

test('a block with an unknown name is an error', () => {
  for (const name of ['nobody', 'agent with magic', 'reader with targetGroups']) {
    expect(() => withPolicies(`<!-- iam: ${name} -->\n<!-- end: ${name} -->`), name).toThrow(name);
  }
});
