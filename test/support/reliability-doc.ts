import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MATRIX, PROOFS, type Proof, type Row } from './reliability.ts';

/**
 * vitest's global set-up of the suites that prove rows of the matrix: when they are over, what they proved is
 * in docs/RELIABILITY.md. What other files proved of a row keeps the figure it last had.
 */

const DOC = 'docs/RELIABILITY.md';
const HEAD = `# What the agent and the publisher survive

Written by the test run (test/support/reliability-doc.ts): each row is a fault, what is promised, and the tests that
really do it with the figures they last saw. \`npm test\`, \`npm run test:long\`, \`npm run fault\` and \`npm run e2e\` renew them.

| fault | promise | proven by, and last seen |
| --- | --- | --- |
`;
const NOT_PROVEN = 'not proven yet';

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
  const text = composeDoc(proofs, before, (by) => by.startsWith('npm ') || existsSync(by));
  // The same bytes are not written again: whoever watches the file is left in peace.
  if (text !== before) writeFileSync(DOC, text);
}

/**
 * The page: for each row what every file proved of it, those of `proofs` as they say, the others, as far as
 * `exists` still knows them, as `before` has them.
 */
export function composeDoc(
  proofs: readonly Proof[],
  before: string,
  exists: (provenBy: string) => boolean,
): string {
  const kept = entriesOf(before);
  const lines = (Object.keys(MATRIX) as Row[]).map((row) => {
    const { fault, promise } = MATRIX[row];
    const entries = new Map([...(kept.get(fault) ?? [])].filter(([by]) => exists(by)));
    const renewed = Map.groupBy(
      proofs.filter((proof) => proof.row === row),
      ({ provenBy }) => provenBy,
    );
    for (const [by, of] of renewed)
      entries.set(by, [...new Set(of.map(({ figure }) => cell(figure)))].join('; '));
    const shown = [...entries]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([by, figures]) => `\`${by}\`: ${figures}`);
    return `| ${fault} | ${promise} | ${shown.length > 0 ? shown.join('<br>') : NOT_PROVEN} |`;
  });
  return `${HEAD}${lines.join('\n')}\n`;
}

/** By fault, what the page says each file proved. */
function entriesOf(page: string): Map<string, Map<string, string>> {
  const rows = page.split('\n').map((line) => line.split(/(?<!\\)\|/).map((text) => text.trim()));
  return new Map(
    rows
      .filter((cells) => cells.length === 5)
      .map(([, fault = '', , proven = '']) => [
        fault,
        new Map(
          proven.split('<br>').flatMap((entry) => {
            const [, by, figures] = /^`([^`]+)`: (.*)$/.exec(entry) ?? [];
            return by === undefined || figures === undefined ? [] : [[by, figures] as const];
          }),
        ),
      ]),
  );
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
