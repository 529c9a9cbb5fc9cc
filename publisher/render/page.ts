import type { Paint } from './text.ts';

/** What an answer is laid out for: a terminal of so many columns, or a pipe (Infinity, no colours). */
export interface Page {
  columns: number;
  paint: Paint;
}
