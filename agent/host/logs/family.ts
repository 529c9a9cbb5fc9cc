/** The names of log files, as far as rotation changes them. Pure. */

/** What rotation adds to a name: a number or a date after a separator, or one of some words. */
const ADDED = /(?:^|[-._@])(?:\d[\dT:Z._-]*|old|bak|prev)(?=$|[-._@])/gi;
const COMPRESSED = /\.(?:gz|zst|xz|bz2)$/i;

/**
 * What the names of a log and of its rotated files have in common: `app.log` for `app.log`, `app.log.1`,
 * `app.log.2.gz` and `app-2026-11-28.log`. Files of another family are never taken for copies of each other.
 */
export function familyOf(name: string): string {
  return name.replace(/~$/, '').replace(COMPRESSED, '').replaceAll(ADDED, '');
}

/**
 * Whether a name matches: `*` is any text, `?` is one character, everything else is itself. As in a shell, neither of
 * them begins a name with a dot.
 */
export function matcherOf(pattern: string): (name: string) => boolean {
  const text = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${text}$`, 's');
  return (name) => expression.test(name) && (pattern.startsWith('.') || !name.startsWith('.'));
}
