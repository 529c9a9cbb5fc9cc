/**
 * A strict reader of XML 1.0 documents without DTD, comments and namespaces, as far as JUnit files use it. It refuses what a conforming
 * reader refuses ("Extensible Markup Language (XML) 1.0"): characters that XML does not have, `<` and `&` that are not escaped,
 * references that are not known, attributes twice or without quotes, elements that do not match, text outside of the root.
 */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

const NAME = '[A-Za-z_:][A-Za-z0-9_:.-]*';
const DECLARATION = /^<\?xml version="1\.0"(?: encoding="UTF-8")?\?>\s*/;
const TAG = new RegExp(`<(/?)(${NAME})((?:\\s+${NAME}="[^"<]*")*)\\s*(/?)>|<`, 'g');
const ATTRIBUTE = new RegExp(`(${NAME})="([^"]*)"`, 'g');
const NO_CHARACTER = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const KNOWN: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** @throws when the document is not well-formed. */
export function parseXml(document: string): Element {
  const bad = NO_CHARACTER.exec(document);
  if (bad) throw new Error(`no character of XML at ${bad.index}: U+${bad[0].codePointAt(0)?.toString(16)}`);
  if (!DECLARATION.test(document)) throw new Error('no XML declaration');
  const body = document.replace(DECLARATION, '');
  const top: Element = { name: '', attributes: {}, children: [], text: '' };
  const open: Element[] = [top];
  let at = 0;
  const inside = () => open.at(-1) ?? top;
  for (const match of body.matchAll(TAG)) {
    const [tag, end, name, attributes = '', empty] = match;
    if (name === undefined)
      throw new Error(`a < that begins no tag: ${body.slice(match.index, match.index + 60)}`);
    inside().text += unescaped(body.slice(at, match.index));
    at = match.index + tag.length;
    if (end) {
      if (open.length === 1 || open.pop()?.name !== name)
        throw new Error(`</${name}> closes another element`);
      continue;
    }
    const element: Element = { name, attributes: attributesOf(attributes), children: [], text: '' };
    inside().children.push(element);
    if (!empty) open.push(element);
  }
  top.text += body.slice(at);
  const [root, ...others] = top.children;
  if (open.length !== 1) throw new Error(`<${inside().name}> is not closed`);
  if (root === undefined || others.length > 0 || top.text.trim() !== '') throw new Error('expected one root');
  return root;
}

function attributesOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(ATTRIBUTE)].map(
    ([, name = '', value = '']) => [name, unescaped(value)] as const,
  );
  if (new Set(pairs.map(([name]) => name)).size < pairs.length)
    throw new Error(`an attribute twice: ${text}`);
  return Object.fromEntries(pairs);
}

function unescaped(text: string): string {
  if (text.includes(']]>')) throw new Error(']]> in a text');
  return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));|&/g, (all, decimal, hex, name) => {
    if (name !== undefined && KNOWN[name] !== undefined) return KNOWN[name];
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    const character = Number.isNaN(code) ? '' : String.fromCodePoint(code);
    if (character === '' || NO_CHARACTER.test(character)) throw new Error(`not a reference: ${all}`);
    return character;
  });
}
