/** What the modelled disk (model.ts) is made of. */
export interface FileNode {
  kind: 'file';
  data: Buffer;
  /** The bytes at the last fsync; undefined before the first. */
  synced: Buffer | undefined;
  /** Kept whole at a power cut: nothing that is published depends on it alone. */
  executable: boolean;
}
interface LinkNode {
  kind: 'link';
  target: string;
}
export interface DirectoryNode {
  kind: 'directory';
  path: string;
  entries: Map<string, Node>;
  durable: Map<string, Node>;
}
export type Node = FileNode | LinkNode | DirectoryNode;

interface Entry {
  directory: DirectoryNode;
  name: string;
  node: Node | undefined;
}
/** A change of one or two directories that is not on disk yet. */
export interface Change {
  sets: Entry[];
}

/** How much of what was written and not synced survives: nothing, its length, half of it, or all of it. */
export type Kept = 'synced' | 'zeroed' | 'torn' | 'all';

export function newDirectory(path: string): DirectoryNode {
  return { kind: 'directory', path, entries: new Map(), durable: new Map() };
}

export function* filesBelow(node: Node): Generator<FileNode> {
  if (node.kind === 'file') yield node;
  if (node.kind === 'directory') for (const below of node.entries.values()) yield* filesBelow(below);
}

export function put(entries: Map<string, Node>, { name, node }: Entry): void {
  if (node) entries.set(name, node);
  else entries.delete(name);
}

export function touches({ sets }: Change, directory: DirectoryNode): boolean {
  return sets.some((one) => one.directory === directory);
}

export function contentOf({ data, synced = Buffer.alloc(0) }: FileNode, kept: Kept): Buffer {
  if (kept === 'all' || data.equals(synced)) return data;
  if (kept === 'synced') return synced;
  const same = Math.min(synced.length, data.length);
  if (kept === 'torn') return data.subarray(0, same + Math.floor((data.length - same) / 2));
  const zeroed = Buffer.alloc(data.length);
  data.copy(zeroed, 0, 0, same);
  return zeroed;
}
