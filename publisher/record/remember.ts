import type * as z from 'zod';
import type { Verifier } from '../../shared/signing.ts';
import { LONGEST_JSON, type Objects, parseJson, type StoredText } from './objects.ts';

/**
 * For a process that looks at a record again and again, such as the console: an object is transferred, parsed and
 * verified once, and again only when its ETag has changed. Each read still asks S3, which says that the object is
 * unchanged; only an object whose ETag was in a list just now is not asked for. So nothing old is taken for current.
 * Whatever acts reads without this.
 */

/** How much is kept, characters. What was not used for longest goes first. */
const MOST = 32 * 1024 * 1024;

interface Kept {
  stored: Omit<StoredText, 'readAt'>;
  /** Its parsed values, by schema. */
  values: Map<unknown, unknown>;
}

export function rememberObjects(objects: Objects, bucket: string, most = MOST): Objects {
  const kept = boundedBySize<Kept>(most, ({ stored }) => 2 * stored.text.length);

  function keep(key: string, { readAt: _, ...stored }: StoredText): Kept {
    const entry = { stored, values: new Map() };
    kept.set(key, entry);
    return entry;
  }

  async function readEntry(key: string, longest?: number) {
    const known = kept.get(key);
    const found = await objects.readUnless(key, known?.stored.etag, longest);
    if (found === undefined) {
      kept.delete(key);
      return undefined;
    }
    if ('unchanged' in found) return known && { entry: known, readAt: found.readAt };
    return { entry: keep(key, found), readAt: found.readAt };
  }

  /** Parses once; a value is shared by all who read it, and nobody changes it. @throws DOCUMENT_INVALID. */
  function parsed<T>(key: string, { stored, values }: Kept, schema: z.ZodType<T>): T {
    if (!values.has(schema)) values.set(schema, parseJson(stored.text, schema, `s3://${bucket}/${key}`));
    return values.get(schema) as T;
  }

  return {
    ...objects,
    async read(key, longest) {
      const found = await readEntry(key, longest);
      return found && { ...found.entry.stored, readAt: found.readAt };
    },
    async readJson(key, schema, listed) {
      const known = kept.get(key);
      const found =
        listed !== undefined && known?.stored.etag === listed
          ? { entry: known, readAt: undefined }
          : await readEntry(key, LONGEST_JSON);
      if (found === undefined) return undefined;
      const { etag, lastModified } = found.entry.stored;
      return { value: parsed(key, found.entry, schema), etag, lastModified, readAt: found.readAt };
    },
  };
}

/** The verifier with a memory of its own, made once for each that is given: that one has the keys. */
export function rememberVerifier(verifier: () => Promise<Verifier>): () => Promise<Verifier> {
  let last: { given: Verifier; remembering: Verifier } | undefined;
  return async () => {
    const given = await verifier();
    if (last?.given !== given) last = { given, remembering: rememberVerified(given) };
    return last.remembering;
  };
}

/** Verifies each text once: what verified with these keys verifies again. A refusal is not kept. */
function rememberVerified(verifier: Verifier, most = MOST): Verifier {
  const kept = boundedBySize<{ text: string; schema: unknown; value: Promise<unknown> }>(
    most,
    ({ text }) => 2 * text.length,
  );
  return {
    ...verifier,
    verify<T>(typ: Parameters<Verifier['verify']>[0], text: string, schema: z.ZodType<T>): Promise<T> {
      const key = `${typ} ${text}`;
      const known = kept.get(key);
      if (known?.schema === schema) return known.value as Promise<T>;
      const value = verifier.verify(typ, text, schema);
      kept.set(key, { text, schema, value });
      value.catch(() => kept.delete(key));
      return value;
    },
  };
}

/** A map whose entries have `most` together at most, each `sizeOf` large. The least recently used goes first. */
function boundedBySize<T>(most: number, sizeOf: (value: T) => number) {
  const entries = new Map<string, T>();
  let size = 0;
  function remove(key: string): void {
    const old = entries.get(key);
    if (old === undefined) return;
    size -= sizeOf(old);
    entries.delete(key);
  }
  return {
    get(key: string): T | undefined {
      const found = entries.get(key);
      if (found === undefined) return undefined;
      entries.delete(key);
      entries.set(key, found);
      return found;
    },
    set(key: string, value: T): void {
      remove(key);
      entries.set(key, value);
      size += sizeOf(value);
      for (const oldest of entries.keys()) {
        if (size <= most) break;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
