import { afterAll, beforeAll } from 'vitest';
import { takeDenials } from './ledger.ts';

/**
 * For each test file: a call of one of our programs that its policy denied fails the file, even where the program went on
 * without it. A test that provokes denials takes them (`takeDenials`).
 */

beforeAll(() => {
  takeDenials();
});

afterAll(() => {
  const denials = [...new Set(takeDenials())];
  if (denials.length === 0) return;
  throw new Error(
    `the printed policies deny what this file asked for, and no test took the denials:\n  ${denials.join('\n  ')}`,
  );
});
