import type { Paint } from './text.ts';

/** The page for the layout of an answer: a terminal with its columns, or a pipe (Infinity columns, no colours). */
export interface Page {
  columns: number;
  paint: Paint;
}
