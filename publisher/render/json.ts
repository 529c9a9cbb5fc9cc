import { cleanTail } from '../../shared/report.ts';
import type { Renderer } from '../events.ts';

/** One JSON object per event, each on a line. */
export function createJson(write: (text: string) => void): Renderer {
  return {
    event({ at, ...rest }) {
      // The answer of the command has the pause.
      if (rest.type === 'pause') return;
      write(`${jsonLine({ time: new Date(at).toISOString(), ...rest })}\n`);
    },
    close() {},
  };
}

/** `value` on one line. Its strings are made safe to print: a program that reads one may print it. */
export function jsonLine(value: object): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'string' ? cleanTail(one) : one));
}
