import { readFile } from 'node:fs/promises';
import { isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { messageOf, TriggerDeployError } from '../shared/errors.ts';

/** One thing wrong with the configuration: where, and what was expected there. */
export interface Mistake {
  /** `environments.dev.bucket`, or the name of a variable. */
  path: string;
  line?: number | undefined;
  text: string;
}

export interface ConfigFile {
  name: string;
  content: unknown;
  /** The line of what lies at `path`, or of the nearest thing above it that is there. */
  lineOf(path: readonly PropertyKey[]): number | undefined;
}

/** @throws CONFIG_INVALID when it cannot be read or is not YAML; every syntax error is named with its line. */
export async function readConfigFile(name: string): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (cause) {
    throw new TriggerDeployError('CONFIG_INVALID', `cannot read ${name}: ${messageOf(cause)}`, { cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
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
  return {
    name,
    content: document.toJS(),
    lineOf(path) {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    },
  };
}

/** Where the last key of `path` that is there begins. */
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

/** Everything zod found, one mistake for each unknown key and each wrong value. */
export function mistakesOf(error: z.ZodError, file: ConfigFile, known: readonly string[]): Mistake[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const path = [...issue.path, key];
        const meant = nearest(key, known);
        const text = `unknown key${meant === undefined ? '' : `, did you mean "${meant}"?`}`;
        return { path: shown(path), line: file.lineOf(path), text };
      });
    }
    const text = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    return [{ path: shown(issue.path), line: file.lineOf(issue.path), text }];
  });
}

export function mistaken(name: string, mistakes: readonly Mistake[]): TriggerDeployError {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
  const where = ({ line }: Mistake) => (line === undefined ? '' : `${name}:${line} `);
  return new TriggerDeployError('CONFIG_INVALID', `${name} has ${count}`, {
    detail: mistakes
      .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
      .map((mistake) => `${where(mistake)}${mistake.path}: ${mistake.text}`)
      .join('\n'),
  });
}

function shown(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '(file)' : path.map(String).join('.');
}

/** The word of `known` that `word` is a slip of: at most a third of its letters differ. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Levenshtein, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
