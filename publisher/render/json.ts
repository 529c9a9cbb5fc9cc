import { cleanTail } from '../../shared/report.ts';
import type { Renderer } from '../events.ts';

/** One JSON object an event, a line each. */
export function createJson(write: (text: string) => void): Renderer {
  return {
    event({ at, ...rest }) {
      // The command's own answer says it.
      if (rest.type === 'pause') return;
      write(`${jsonLine({ time: new Date(at).toISOString(), ...rest })}\n`);
    },
    close() {},
  };
}

/** `value` on one line. Texts of other machines are made safe: whoever extracts one may print it. */
export function jsonLine(value: object): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'string' ? cleanTail(one) : one));
}
