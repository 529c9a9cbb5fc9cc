import { join } from 'node:path';
import { makeDirectories, readNoFollow, writeDurably } from '../fs/durable-files.ts';

/** `STATE/life.json`: what an agent that was restarted has to know of the life of its instance. */

const NAME = 'life.json';
const LIMIT = 16 * 1024; // bytes

export interface LifeFile<T> {
  /** Undefined if there is none, or none that can be read. */
  load(): Promise<T | undefined>;
  /** On disk when it resolves. */
  save(value: T): Promise<void>;
}

/** `parse` validates the content: it throws for anything else. */
export function createLifeFile<T>(state: string, parse: (value: unknown) => T): LifeFile<T> {
  const path = join(state, NAME);
  return {
    async load() {
      const text = await readNoFollow(path, LIMIT).catch(() => undefined);
      try {
        return text && parse(JSON.parse(text.toString('utf8')));
      } catch {
        return undefined;
      }
    },
    async save(value) {
      await makeDirectories(state, 0o700);
      await writeDurably(path, `${JSON.stringify(value)}\n`);
    },
  };
}
