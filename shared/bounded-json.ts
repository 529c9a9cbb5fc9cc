/** The deepest nesting of a document. Deeper ones can be parsed, but end the stack of whoever writes them again. */
const DEEPEST = 64;

/**
 * `JSON.parse` for a text that anyone may have written.
 * @throws SyntaxError when it is not JSON, or nested deeper than any document is.
 */
export function parseBoundedJson(text: string): unknown {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charCodeAt(i);
    if (isText) {
      if (character === BACKSLASH) i += 1;
      else if (character === QUOTE) isText = false;
    } else if (character === QUOTE) isText = true;
    else if (character === BRACKET || character === BRACE) depth += 1;
    else if (character === BRACKET + 2 || character === BRACE + 2) depth -= 1;
    if (depth > DEEPEST) throw new SyntaxError(`nested deeper than ${DEEPEST}`);
  }
  return JSON.parse(text);
}

const [QUOTE, BACKSLASH, BRACKET, BRACE] = [0x22, 0x5c, 0x5b, 0x7b];
