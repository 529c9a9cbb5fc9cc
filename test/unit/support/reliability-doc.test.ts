import { expect, test } from 'vitest';
import { MATRIX } from '../../support/reliability.ts';
import { composeDoc } from '../../support/reliability-doc.ts';

const always = () => true;
const lineOf = (page: string, row: keyof typeof MATRIX) =>
  page.split('\n').find((line) => line.startsWith(`| ${MATRIX[row].fault} |`));

test('a row that nothing has proven says so', () => {
  expect(lineOf(composeDoc([], '', always), 'kill')).toContain('not proven yet');
});

test('what one file proved is renewed by its next run, and what others proved stays', () => {
  const first = composeDoc(
    [
      { row: 'kill', provenBy: 'test/a.test.ts', figure: '10 kill points' },
      { row: 'kill', provenBy: 'test/b.test.ts', figure: 'a | b' },
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
  expect(lineOf(second, 'kill')).toBe(
    `| ${MATRIX.kill.fault} | ${MATRIX.kill.promise} | \`test/a.test.ts\`: 12 kill points<br>\`test/b.test.ts\`: a \\| b; 3 more |`,
  );
  expect(lineOf(second, 'late')).toBe(lineOf(first, 'late'));
});

test('a file that is gone proves nothing any more', () => {
  const page = composeDoc([{ row: 'kill', provenBy: 'test/gone.test.ts', figure: '1' }], '', always);
  expect(
    lineOf(
      composeDoc([], page, () => false),
      'kill',
    ),
  ).toContain('not proven yet');
});
