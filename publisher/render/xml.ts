import { cleanText } from '../../shared/clean-text.ts';

/** Text as XML 1.0, whatever characters it has. Pure. */

/**
 * What XML 1.0 has no form for, escaped or not ("Extensible Markup Language (XML) 1.0", 2.2 Characters): most control characters, lone
 * surrogates, U+FFFE and U+FFFF. One of them, and a reader refuses the whole file.
 */
const NO_CHARACTER = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  // A reader makes a space of each of these in an attribute, and a line feed of a carriage return in a text.
  '\n': '&#10;',
  '\t': '&#9;',
  '\r': '&#13;',
};
const escaped = (text: string, which: RegExp) =>
  cleanText(text)
    .replace(NO_CHARACTER, '\ufffd')
    .replace(which, (character) => ESCAPES[character] ?? character);

const textOf = (text: string) => escaped(text, /[&<>\r]/g);
const attributeOf = (text: string) => escaped(text, /[&<>"\n\t\r]/g);

/** An element with attributes; those that are undefined are left out. `content` is XML already, or a text. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  content: readonly string[] | { text: string } = [],
): string {
  const pairs = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${attributeOf(String(value))}"`],
  );
  const head = `<${name}${pairs.join('')}`;
  if ('text' in content) return `${head}>${textOf(content.text)}</${name}>`;
  return content.length === 0 ? `${head}/>` : `${head}>\n${content.join('\n')}\n</${name}>`;
}
