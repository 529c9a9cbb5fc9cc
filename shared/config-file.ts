import { readFile } from 'node:fs/promises';
import { isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import * as z from 'zod';
import { parseDuration } from './duration.ts';
import { messageOf, TriggerDeployError } from './errors.ts';
import { nearest } from './nearest.ts';

/** Reads the YAML config files: reports every mistake at once, each with its line, its path and what was expected. */

/** The longest delay of a Node timer, ms. A timer with a longer delay fires at once. */
const LONGEST_DURATION = 2 ** 31 - 1;

/** A duration in a config file, as ms. A bare number is refused: its unit would be a guess. */
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

const UNIT_BYTES = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A size in a config file, as bytes. A bare number is refused: its unit would be a guess. */
export const size = z.string('expected a size such as 512KiB, 10MiB or 2GiB').transform((text, context) => {
  const match = /^([1-9]\d{0,5})(KiB|MiB|GiB)$/.exec(text);
  if (match) return Number(match[1]) * UNIT_BYTES[match[2] as keyof typeof UNIT_BYTES];
  context.addIssue({ code: 'custom', message: 'expected a size such as 512KiB, 10MiB or 2GiB' });
  return z.NEVER;
});

/** One mistake in a configuration: where it is, and what was expected there. */
export interface Mistake {
  /** `environments.dev.bucket`, or the name of a variable. */
  path: string;
  /** The line number, from 1; undefined when the mistake is not in a file. */
  line?: number | undefined;
  text: string;
}

export interface ConfigFile {
  name: string;
  content: unknown;
  /** The line of the key or list item at `path`. If there is none, the line of its nearest parent in the file. */
  lineOf(path: readonly PropertyKey[]): number | undefined;
  has(path: readonly PropertyKey[]): boolean;
}

/** Reads and parses the file `name`. @throws CONFIG_INVALID when the file cannot be read or is not YAML. */
export async function readConfigFile(name: string, hint?: string): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (cause) {
    const message = `cannot read ${name}: ${messageOf(cause)}`;
    throw new TriggerDeployError('CONFIG_INVALID', message, { cause, hint });
  }
  return openConfig(text, name);
}

/** @throws CONFIG_INVALID when `text` is not YAML; the error lists every syntax error with its line. */
function openConfig(text: string, name: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw mistaken(
      name,
      document.errors.map((error) => ({
        path: '(YAML)',
        line: lines.linePos(error.pos[0]).line,
        text: error.message,
      })),
    );
  }
  let content: unknown;
  try {
    // Without a limit on aliases, a config of a few kilobytes could expand into gigabytes.
    content = document.toJS({ maxAliasCount: 50 }) ?? {};
  } catch (cause) {
    throw mistaken(name, [{ path: '(YAML)', line: 1, text: messageOf(cause) }]);
  }
  return {
    name,
    content,
    lineOf(path) {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
    has: (path) => existsIn(content, path),
  };
}

/**
 * Parses `text` as YAML and checks it with `schema`.
 * @throws CONFIG_INVALID: its message counts the mistakes, and its detail lists each of them.
 */
export function parseConfigFile<T>(text: string, name: string, schema: z.ZodType<T>): T {
  const file = openConfig(text, name);
  const parsed = schema.safeParse(file.content);
  if (parsed.success) return parsed.data;
  throw mistaken(name, mistakesOf(parsed.error, file));
}

export function mistaken(name: string, mistakes: readonly Mistake[]): TriggerDeployError {
  const count = mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`;
  const where = ({ line }: Mistake) => (line === undefined ? '' : `${name}:${line}: `);
  return new TriggerDeployError('CONFIG_INVALID', `${name} has ${count}`, {
    detail: mistakes
      .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
      .map((mistake) => `${where(mistake)}${mistake.path}: ${mistake.text}`)
      .join('\n'),
    hint: 'correct each line above',
  });
}

/** One mistake for each unknown key and each wrong value that zod found. `known` are the keys to suggest. */
export function mistakesOf(error: z.ZodError, file: ConfigFile, known: readonly string[] = []): Mistake[] {
  return error.issues.flatMap((issue) => mistakesIn(issue, file, known));
}

function mistakesIn(issue: z.core.$ZodIssue, file: ConfigFile, known: readonly string[]): Mistake[] {
  const at = (path: readonly PropertyKey[], text: string): Mistake => ({
    path: path.length === 0 ? '(top)' : path.map(String).join('.'),
    line: file.lineOf(path) ?? 1,
    text,
  });
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const meant = nearest(key, known);
      return at(
        [...issue.path, key],
        `unknown key${meant === undefined ? '' : `, did you mean "${meant}"?`}`,
      );
    });
  }
  if (issue.code === 'invalid_key') {
    return [at(issue.path, issue.issues.map((inner) => inner.message).join('; '))];
  }
  const isMissing = MISSING_CODES.has(issue.code) && !file.has(issue.path);
  if (isMissing && !issue.message.endsWith('found nothing')) {
    return [
      at(
        issue.path,
        `missing: ${issue.code === 'invalid_type' ? `expected ${issue.expected}` : issue.message}`,
      ),
    ];
  }
  if (issue.code === 'invalid_union') {
    // If only one alternative of the union fits the shape of the value, the mistakes in that alternative are reported.
    const near = issue.errors.filter((inner) => inner.some(isInside));
    const [meant] = near;
    if (meant && near.length === 1) {
      return meant.flatMap((inner) =>
        mistakesIn({ ...inner, path: [...issue.path, ...inner.path] }, file, known),
      );
    }
  }
  return [at(issue.path, issue.message)];
}

const MISSING_CODES: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value', 'invalid_union']);

const isInside = (issue: z.core.$ZodIssue) => issue.path.length > 0 || issue.code === 'unrecognized_keys';

/** Searches the parsed value and not the YAML document, because only the value has its aliases resolved. */
function existsIn(value: unknown, path: readonly PropertyKey[]): boolean {
  let here = value;
  for (const segment of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, segment)) return false;
    here = (here as Record<PropertyKey, unknown>)[segment];
  }
  return true;
}

/** The offset of the last key or list item of `path` that exists. */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number | undefined {
  let node: unknown = root;
  let offset = root?.range?.[0];
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (!pair) return offset;
      if (isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
      node = pair.value;
    } else {
      const items = (node as { items?: unknown[] } | null)?.items;
      node = Array.isArray(items) ? items[Number(step)] : undefined;
      if (!isNode(node)) return offset;
      if (node.range) offset = node.range[0];
    }
  }
  return offset;
}
