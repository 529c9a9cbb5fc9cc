import { isMap, isPair, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { messageOf, TriggerDeployError } from './errors.ts';

/** Reading the YAML files a person writes: every mistake at once, each with its line, its path and what belongs there. */

/** The longest that a timer of Node can wait, ms: beyond it, it fires at once. */
const LONGEST_DURATION = 2 ** 31 - 1;
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** `500ms`, `30s`, `10m`, `1h` as ms; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
}

/** A duration in a config file, as ms. A bare number is refused: nobody remembers its unit. */
export const duration = z
  .string('expected a duration such as 500ms, 30s, 10m or 1h')
  .transform((text, context) => {
    const ms = parseDuration(text);
    if (ms === undefined) {
      context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 30s, 10m or 1h' });
      return z.NEVER;
    }
    if (ms > LONGEST_DURATION) {
      context.addIssue({ code: 'custom', message: 'expected a duration of 24 days (576h) at most' });
      return z.NEVER;
    }
    return ms;
  });

export interface Mistake {
  /** 1-based line in the file; undefined when the thing is missing altogether. */
  line: number | undefined;
  path: string;
  message: string;
}

/**
 * The file's content as `schema` reads it.
 * @throws CONFIG_INVALID whose message counts the mistakes and whose detail lists each of them.
 */
export function parseConfigFile<T>(text: string, file: string, schema: z.ZodType<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw invalid(
      file,
      document.errors.map((error) => ({
        line: lines.linePos(error.pos[0]).line,
        path: '(YAML)',
        message: error.message,
      })),
    );
  }
  let value: unknown;
  try {
    // maxAliasCount: a config of a few kilobytes must not unfold into gigabytes.
    value = document.toJS({ maxAliasCount: 50 }) ?? {};
  } catch (cause) {
    throw invalid(file, [{ line: undefined, path: '(YAML)', message: messageOf(cause) }]);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lineOf = (path: readonly PropertyKey[]) => {
    const offset = offsetOf(document.contents, path);
    return offset === undefined ? undefined : lines.linePos(offset).line;
  };
  throw invalid(
    file,
    parsed.error.issues.flatMap((issue) => mistakesOf(issue, lineOf, (path) => existsIn(value, path))),
  );
}

function invalid(file: string, mistakes: readonly Mistake[]): TriggerDeployError {
  const count = mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`;
  const list = mistakes.map(
    ({ line, path, message }) => `${file}${line === undefined ? '' : `:${line}`}: ${path}: ${message}`,
  );
  return new TriggerDeployError('CONFIG_INVALID', `${file} has ${count}`, {
    detail: list.join('\n'),
    hint: 'correct each line above',
  });
}

function mistakesOf(
  issue: z.core.$ZodIssue,
  lineOf: (path: readonly PropertyKey[]) => number | undefined,
  exists: (path: readonly PropertyKey[]) => boolean,
): Mistake[] {
  const show = (path: readonly PropertyKey[]) => (path.length === 0 ? '(top)' : path.map(String).join('.'));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      line: lineOf([...issue.path, key]),
      path: show([...issue.path, key]),
      message: 'unknown key',
    }));
  }
  if (issue.code === 'invalid_key') {
    const why = issue.issues.map((inner) => inner.message).join('; ');
    return [{ line: lineOf(issue.path), path: show(issue.path), message: why }];
  }
  if (MISSING_CODES.has(issue.code) && !exists(issue.path)) {
    const expected = issue.code === 'invalid_type' ? `expected ${issue.expected}` : issue.message;
    return [
      { line: lineOf(issue.path.slice(0, -1)), path: show(issue.path), message: `missing: ${expected}` },
    ];
  }
  if (issue.code === 'invalid_union') {
    // Where only one alternative has the shape of what was written, its mistakes are the ones to name.
    const near = issue.errors.filter((inner) => inner.some(isInside));
    const [meant] = near;
    if (meant && near.length === 1) {
      return meant.flatMap((inner) =>
        mistakesOf({ ...inner, path: [...issue.path, ...inner.path] }, lineOf, exists),
      );
    }
  }
  return [{ line: lineOf(issue.path), path: show(issue.path), message: issue.message }];
}

const MISSING_CODES: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value', 'invalid_union']);

const isInside = (issue: z.core.$ZodIssue) => issue.path.length > 0 || issue.code === 'unrecognized_keys';

/** Looked up in the value, where aliases are resolved, and not in the document. */
function existsIn(value: unknown, path: readonly PropertyKey[]): boolean {
  let here = value;
  for (const segment of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, segment)) return false;
    here = (here as Record<PropertyKey, unknown>)[segment];
  }
  return true;
}

/** Where in the text the node at `path` begins: its key where it is a pair, so that the line is the one to edit. */
function offsetOf(root: unknown, path: readonly PropertyKey[]): number | undefined {
  let node = root as Node | null;
  let offset = node?.range?.[0];
  for (const segment of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String(item.key) === String(segment));
      if (!pair) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else {
      const item = (node as { items?: Node[] } | null)?.items?.[Number(segment)];
      if (!item) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    }
  }
  return offset;
}
