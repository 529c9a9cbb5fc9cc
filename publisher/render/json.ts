import { cleanText } from '../../shared/clean-text.ts';
import type { Renderer } from '../events.ts';

/** One JSON object per event, each on a line. */
export function createJson(write: (text: string) => void): Renderer {
  return {
    event({ at, ...rest }) {
      // The answer of the command shows the pause.
      if (rest.type === 'pause') return;
      write(`${jsonLine({ time: new Date(at).toISOString(), ...rest })}\n`);
    },
    close() {},
  };
}

/**
 * `value` as JSON on one line. Its strings and the names of its fields are made safe to print, because the program that
 * reads them may print them. No string is shortened.
 */
export function jsonLine(value: object): string {
  return JSON.stringify(value, (_key, one: unknown) => {
    if (typeof one === 'string') return cleanText(one);
    return isMap(one) ? withCleanNames(one) : one;
  });
}

const isMap = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Some names come from outside: those of tags, and of the states in a record's counts. */
function withCleanNames(value: object): object {
  if (Object.keys(value).every((name) => cleanText(name) === name)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [cleanText(name), one]));
}
