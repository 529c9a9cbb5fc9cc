import { type Context, contextValue } from './document.ts';

/**
 * The patterns of IAM: wildcards, policy variables, and ARNs, which are compared part by part (IAM User Guide, "IAM JSON
 * policy elements: Resource", "Variables and tags", "Condition operators").
 */

/** Stands in for a text that a variable brought in: its `*` and `?` are no wildcards. */
type Piece = { readonly text: string; readonly isLiteral: boolean };

/** The pieces of a pattern; undefined when a variable has no value: then it matches nothing. */
function piecesOf(pattern: string, context: Context, hasVariables: boolean): Piece[] | undefined {
  if (!hasVariables) return [{ text: pattern, isLiteral: false }];
  const pieces: Piece[] = [];
  let end = 0;
  for (const { 0: whole, 1: inner = '', index } of pattern.matchAll(/\$\{([^}]*)\}/g)) {
    const value = variable(inner, context);
    if (value === undefined) return undefined;
    pieces.push({ text: pattern.slice(end, index), isLiteral: false }, { text: value, isLiteral: true });
    end = index + whole.length;
  }
  return [...pieces, { text: pattern.slice(end), isLiteral: false }];
}

/** `${*}`, `${?}` and `${$}` are the characters themselves; `${key, 'other'}` is `other` where the key is missing. */
function variable(inner: string, context: Context): string | undefined {
  if (/^[*?$]$/.test(inner)) return inner;
  const [, key = '', other] = /^\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?$/.exec(inner) ?? [];
  if (key === '') throw new Error(`\${${inner}} is no policy variable`);
  const value = contextValue(context, key) ?? other;
  // A key with several values cannot be used as a variable ("Where you can use policy variables").
  return typeof value === 'string' ? value : undefined;
}

const escaped = (text: string) => text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
const wild = (text: string) => escaped(text).replaceAll('\\*', '[^]*').replaceAll('\\?', '[^]');

/** The patterns that are in use. Those of userids and tags would fill it in a long run. */
const compiled = new Map<string, RegExp>();
const MOST_COMPILED = 5000;

function whole(source: string, isCaseless: boolean): RegExp {
  const key = `${isCaseless ? 'i' : ''}:${source}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const made = new RegExp(`^${source}$`, isCaseless ? 'iu' : 'u');
  if (compiled.size >= MOST_COMPILED) compiled.clear();
  compiled.set(key, made);
  return made;
}

export interface Matching {
  readonly context: Context;
  /** Policies before version 2012-10-17 have no variables: `${aws:userid}` is text in them. */
  readonly hasVariables: boolean;
}

/** Whether `value` matches the pattern, in which `*` is any text and `?` any character. */
export function isLike(pattern: string, value: string, how: Matching & { isCaseless?: boolean }): boolean {
  // Most patterns are names.
  if (!/[*?$]/.test(pattern)) {
    return how.isCaseless ? pattern.toLowerCase() === value.toLowerCase() : pattern === value;
  }
  const pieces = piecesOf(pattern, how.context, how.hasVariables);
  if (pieces === undefined) return false;
  const source = pieces.map(({ text, isLiteral }) => (isLiteral ? escaped(text) : wild(text))).join('');
  return whole(source, how.isCaseless ?? false).test(value);
}

/** Whether `value` is the text of the pattern, in which only variables have a meaning. */
export function isEqual(pattern: string, value: string, how: Matching & { isCaseless?: boolean }): boolean {
  const text = piecesOf(pattern, how.context, how.hasVariables)
    ?.map((piece) => piece.text)
    .join('');
  if (text === undefined) return false;
  return how.isCaseless ? text.toLowerCase() === value.toLowerCase() : text === value;
}

/** Each of the six parts between colons is compared alone; `*` alone is every ARN. The last part may have colons. */
export function isLikeArn(pattern: string, value: string, how: Matching): boolean {
  if (pattern === '*') return true;
  const patterns = arnParts(pattern);
  const values = arnParts(value);
  return patterns.length === values.length && patterns.every((one, i) => isLike(one, values[i] ?? '', how));
}

function arnParts(arn: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const character of arn) {
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === ':' && depth === 0 && parts.length < 5) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return [...parts, part];
}
