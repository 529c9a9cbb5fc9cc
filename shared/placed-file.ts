import { lstat } from 'node:fs/promises';
import { artifactName, artifactNameAt, artifactNameOf, releasePath } from './names.ts';

/** A local file, and what its artifact is called and where it is put. */
export interface PlacedFile {
  file: string;
  name: string;
  path?: string;
  /** Why this is no valid name or path. */
  wrong?: string;
}

/** A file that keeps its name: a package. */
export function plainFile(file: string): PlacedFile {
  const name = artifactNameOf(file);
  return { file, name, ...wrongIn(artifactName.safeParse(name)) };
}

/**
 * A config file. Reads `FILE` or `FILE=PATH/IN/RELEASE`. If a file has the whole text as its path, it is that file: so
 * the `=` in the path of a file is no separator. Otherwise, the last `=` separates: `a=b.yml=b.yml` puts the file
 * `a=b.yml` to `b.yml`.
 */
export async function placedFile(text: string): Promise<PlacedFile> {
  const at = text.lastIndexOf('=');
  const isFile =
    at < 1 ||
    (await lstat(text).then(
      () => true,
      () => false,
    ));
  if (isFile) return plainFile(text);
  const [file, path] = [text.slice(0, at), text.slice(at + 1)];
  if (!path.includes('/')) return { file, name: path, ...wrongIn(artifactName.safeParse(path)) };
  return { file, path, name: artifactNameAt(path), ...wrongIn(releasePath.safeParse(path)) };
}

const wrongIn = ({ error }: { error?: { issues: { message: string }[] } | undefined }) =>
  error && { wrong: error.issues[0]?.message ?? 'it is not valid' };
