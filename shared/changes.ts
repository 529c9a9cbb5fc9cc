import * as z from 'zod';
import { parseBoundedJson } from './bounded-json.ts';
import { serviceName } from './names.ts';

/**
 * The list of changes of an environment: one small object that says which desired states were written last. Agents read it
 * instead of the desired state of each of their services. It is a hint and not signed: nothing follows from it but that an
 * agent reads a desired state, which is signed. Who may write to the bucket can make agents look, or keep them from
 * looking until they do so by themselves.
 */

/** For each service, the nonce of the desired state that is written after the list. */
export type Changes = ReadonlyMap<string, string>;

const document = z.looseObject({
  v: z.literal(1),
  services: z.record(z.string(), z.string().max(64)),
});

/** How many services the list names: those whose desired states were written last. */
const MOST_SERVICES = 1000;
/** No list is longer, bytes. */
export const LONGEST_CHANGES = 256 * 1024;

/** Undefined when `text` is no list of changes. */
export function parseChanges(text: string): Changes | undefined {
  if (text.length > LONGEST_CHANGES) return undefined;
  try {
    const { services } = document.parse(parseBoundedJson(text));
    return new Map(Object.entries(services).filter(([name]) => serviceName.safeParse(name).success));
  } catch {
    return undefined;
  }
}

/** The text of the list after these changes. `nonce` makes it unlike any other. */
export function changesText(before: Changes, now: Changes, nonce: string): string {
  const left = [...before].filter(([service]) => !now.has(service));
  const services = Object.fromEntries([...left, ...now].slice(-MOST_SERVICES));
  return JSON.stringify({ v: 1, nonce, services });
}
