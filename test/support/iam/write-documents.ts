import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { withPolicies } from './documents.ts';

/** `npm run policies`: writes the policies into the documents. */

for (const file of execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n')) {
  const page = readFileSync(file, 'utf8');
  const now = withPolicies(page);
  if (now === page) continue;
  writeFileSync(file, now);
  console.log(`${file}: written`);
}
