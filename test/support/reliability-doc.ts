import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MATRIX, PROOFS, type Proof, type Row } from './reliability.ts';

/**
 * vitest's global set-up of the suites that prove rows of the matrix: when they are over, what they proved is
 * in docs/RELIABILITY.md. Rows that did not run keep what was last seen.
 */

const DOC = 'docs/RELIABILITY.md';
const HEAD = `# What the agent and the publisher survive

Written by the test run (test/support/reliability-doc.ts): each row is a fault, what is promised, the tests that
really do it, and the figures they last saw. \`npm run test:fault\`, \`npm run test:long\` and \`npm run fault\` renew them.

| fault | promise | proven by | last seen |
| --- | --- | --- | --- |
`;

export function setup(): void {
  rmSync(PROOFS, { recursive: true, force: true });
}

export function teardown(): void {
  if (!existsSync(PROOFS)) return;
  const proofs = readdirSync(PROOFS)
    .sort()
    .map((name) => JSON.parse(readFileSync(join(PROOFS, name), 'utf8')) as Proof);
  renewDoc(proofs);
}

/** Writes the page anew, with these proofs in it. */
export function renewDoc(proofs: readonly Proof[]): void {
  const before = existsSync(DOC) ? readFileSync(DOC, 'utf8') : '';
  writeFileSync(DOC, composeDoc(proofs, before));
}

/** The page, with the proofs of this run and, for rows without any, the line that `before` has. */
export function composeDoc(proofs: readonly Proof[], before: string): string {
  const lines = (Object.keys(MATRIX) as Row[]).map((row) => {
    const { fault, promise } = MATRIX[row];
    const mine = proofs.filter((proof) => proof.row === row);
    if (mine.length > 0) {
      const tests = mine.map((proof) => cell(proof.test)).join('<br>');
      const figures = mine.map((proof) => cell(proof.figure)).join('<br>');
      return `| ${fault} | ${promise} | ${tests} | ${figures} |`;
    }
    const kept = before.split('\n').find((line) => line.startsWith(`| ${fault} |`));
    return kept ?? `| ${fault} | ${promise} | — | not proven yet |`;
  });
  return `${HEAD}${lines.join('\n')}\n`;
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
