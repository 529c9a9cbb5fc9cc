/** Makes text that anyone may have written safe to print. */

/** How much of a log tail, or of the output of a command, a report contains at most, bytes. */
export const DETAIL_LIMIT = 16 * 1024;

// The sequences of ECMA-48, in their 7-bit and 8-bit forms. A control string is matched only within one line: an opener
// without an end must not hide the lines after it.
const CONTROL_SEQUENCE = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/g;
const CONTROL_STRING =
  /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\n\u0007\u001b\u0080-\u009f]*(?:\u0007|\u001b\\|\u009c)/g;
const OTHER_ESCAPE = /\u001b[ -/]*[0-~]/g;
// The last ranges change the reading direction: with them a text can look like another.
const CONTROL_CHARACTER =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Makes `text` safe for a terminal and a log. It removes escape sequences (ECMA-48), bidirectional controls, and all
 * control characters except newline and tab.
 */
export function cleanText(text: string): string {
  return text
    .replace(CONTROL_SEQUENCE, '')
    .replace(CONTROL_STRING, '')
    .replace(OTHER_ESCAPE, '')
    .replace(CONTROL_CHARACTER, '');
}

/** Cleans `text` as `cleanText` does, and keeps its last `DETAIL_LIMIT` bytes. */
export function cleanTail(text: string): string {
  const clean = cleanText(text);
  const bytes = Buffer.from(clean, 'utf8');
  if (bytes.length <= DETAIL_LIMIT) return clean;
  // A cut inside a multi-byte character leaves replacement characters at the front: drop them.
  return bytes
    .subarray(bytes.length - DETAIL_LIMIT)
    .toString('utf8')
    .replace(/^\ufffd+/, '');
}

/** Cleans `text` as `cleanTail` does, and puts it on one line. */
export function cleanLine(text: string): string {
  return cleanTail(text).replace(/\s+/g, ' ').trim();
}
