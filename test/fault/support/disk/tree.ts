import { createHash } from 'node:crypto';

/** What is found after the power is back. */
export type Tree = Map<string, { file: Buffer; executable: boolean } | { link: string } | { tree: Tree }>;

/**
 * The same for two trees if and only if they hold the same. Of directories that are private, whose
 * contents are not read before they are removed, only the names at their top count.
 */
export function digestOf(tree: Tree, isPrivate: (name: string) => boolean = () => false): string {
  const hash = createHash('sha256');
  const feed = (part: Tree): void => {
    for (const [name, node] of [...part].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if ('tree' in node) {
        hash.update(`d${name}\0`);
        if (isPrivate(name)) hash.update([...node.tree.keys()].sort().join('/'));
        else feed(node.tree);
        hash.update('e');
      } else if ('link' in node) hash.update(`l${name}\0${node.link}\0`);
      else hash.update(`f${name}\0${node.executable}${node.file.length}\0`).update(node.file);
    }
  };
  feed(tree);
  return hash.digest('hex');
}
