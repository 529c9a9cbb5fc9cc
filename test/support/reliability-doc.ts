import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MATRIX, PROOFS, type Proof, type Row } from './reliability.ts';

/**
 * The global set-up of the test suites that prove rows of the matrix. When a suite ends, docs/RELIABILITY.md holds
 * what it proved. What other files proved of a row keeps its last figure.
 */

const DOC = 'docs/RELIABILITY.md';
const HEAD = `# Reliability: what the agent and the publisher survive

The test suites write this page (\`test/support/reliability-doc.ts\`). Each section is one fault: what happens, what is
promised, and the tests that cause the fault for real, with the figures of their last run. \`npm test\`,
\`npm run test:fault\`, \`npm run fault\` and \`npm run e2e\` renew the figures.
The word before the colon is the name that a test uses for the fault in \`proved('NAME', …)\`.
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

/** Rewrites the page with these proofs in it. */
export function renewDoc(proofs: readonly Proof[]): void {
  const before = existsSync(DOC) ? readFileSync(DOC, 'utf8') : '';
  const text = composeDoc(proofs, before, (by) => by.startsWith('npm ') || existsSync(by));
  // Unchanged text is not written: programs that watch the file see no change.
  if (text !== before) writeFileSync(DOC, text);
}

/**
 * The page. What the files of `proofs` proved replaces what the page said of them. What other files proved stays as
 * `before` has it, as long as `exists` still knows the file.
 */
export function composeDoc(
  proofs: readonly Proof[],
  before: string,
  exists: (provenBy: string) => boolean,
): string {
  const kept = entriesOf(before);
  const sections = (Object.keys(MATRIX) as Row[]).map((row) => {
    const { fault, promise } = MATRIX[row];
    const entries = new Map([...(kept.get(row) ?? [])].filter(([by]) => exists(by)));
    const renewed = Map.groupBy(
      proofs.filter((proof) => proof.row === row),
      ({ provenBy }) => provenBy,
    );
    for (const [by, of] of renewed) entries.set(by, [...new Set(of.map(({ figure }) => oneLine(figure)))]);
    const shown = [...entries]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([by, figures]) => [`- \`${by}\``, ...figures.map((figure) => `  - ${figure}`)].join('\n'));
    const list = shown.length > 0 ? shown.join('\n') : NOT_PROVEN;
    return `\n## ${row}: ${fault}\n\nPromise: ${promise}\n\n${list}\n`;
  });
  return HEAD + sections.join('');
}

/** By row, what the page says each file proved. */
function entriesOf(page: string): Map<string, Map<string, string[]>> {
  const [, ...sections] = page.split(/^## /m);
  return new Map(
    sections.map((section) => {
      const entries = new Map<string, string[]>();
      let figures: string[] = [];
      for (const line of section.split('\n')) {
        const by = /^- `([^`]+)`$/.exec(line)?.[1];
        const figure = /^ {2}- (.*)$/.exec(line)?.[1];
        if (by !== undefined) {
          figures = [];
          entries.set(by, figures);
        } else if (figure !== undefined) figures.push(figure);
      }
      return [section.slice(0, section.indexOf(':')), entries];
    }),
  );
}

const oneLine = (text: string) => text.replaceAll('\n', ' ');
