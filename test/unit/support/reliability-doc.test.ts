import { expect, test } from 'vitest';
import { MATRIX } from '../../support/reliability.ts';
import { composeDoc } from '../../support/reliability-doc.ts';

const always = () => true;
const sectionOf = (page: string, row: keyof typeof MATRIX) =>
  page.split(/^(?=## )/m).find((section) => section.startsWith(`## ${row}: ${MATRIX[row].fault}\n`));

test('a row that nothing has proven says so', () => {
  expect(sectionOf(composeDoc([], '', always), 'kill')).toContain('not proven yet');
});

test('the next run of a file renews what that file proved; what other files proved stays', () => {
  const first = composeDoc(
    [
      { row: 'kill', provenBy: 'test/a.test.ts', figure: '10 kill points' },
      { row: 'kill', provenBy: 'test/b.test.ts', figure: 'a | b\nc' },
      { row: 'kill', provenBy: 'test/b.test.ts', figure: '3 more' },
      { row: 'late', provenBy: 'test/a.test.ts', figure: 'late' },
    ],
    '',
    always,
  );
  const second = composeDoc(
    [{ row: 'kill', provenBy: 'test/a.test.ts', figure: '12 kill points' }],
    first,
    always,
  );
  expect(sectionOf(second, 'kill')).toBe(
    `## kill: ${MATRIX.kill.fault}

Promise: ${MATRIX.kill.promise}

- \`test/a.test.ts\`
  - 12 kill points
- \`test/b.test.ts\`
  - a | b c
  - 3 more

`,
  );
  expect(sectionOf(second, 'late')).toBe(sectionOf(first, 'late'));
});

test('a page with no new proofs stays as it is', () => {
  const page = composeDoc([{ row: 'order', provenBy: 'test/a.test.ts', figure: '`x`; y' }], '', always);
  expect(composeDoc([], page, always)).toBe(page);
});

test('what a deleted file proved is removed', () => {
  const page = composeDoc([{ row: 'kill', provenBy: 'test/gone.test.ts', figure: '1' }], '', always);
  expect(
    sectionOf(
      composeDoc([], page, () => false),
      'kill',
    ),
  ).toContain('not proven yet');
});
