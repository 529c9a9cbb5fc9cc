import * as z from 'zod';
import { artifactName, artifactNameAt, releasePath, serviceName, sha256Hex, versionName } from './names.ts';

/**
 * One file of a version. `package` is the jar, archive or deb itself; `config` is a configuration file of the
 * environment, stored beside the package.
 */
export const artifact = z
  .looseObject({
    name: artifactName,
    size: z.int().min(0), // bytes
    sha256: sha256Hex,
    role: z.enum(['package', 'config']),
    /** The mode of a config file where it was pushed: a file that others cannot read stays so. Older publishers omit it. */
    mode: z.int().min(0).max(0o777).optional(),
    /** Where a config file is put in the release. Without it, at the top. `name` is then made of it, see `artifactNameAt`. */
    path: releasePath.optional(),
  })
  .refine(({ path, role }) => path === undefined || role === 'config', {
    error: 'only a config file has a path',
  })
  .refine(({ path, name }) => path === undefined || name === artifactNameAt(path), {
    error: 'the name of an artifact does not match its path',
  });
export type Artifact = z.infer<typeof artifact>;

/** A local file that becomes an artifact: `file` is its path; the other keys are those of the artifact. */
export type GivenFile = Pick<Artifact, 'name' | 'size' | 'role' | 'mode' | 'path'> & { file: string };

/** The artifact with only the keys of this schema. The journal does not store keys that later versions add. */
export function bareArtifact({ name, size, sha256, role, mode, path }: Artifact): Artifact {
  const optional = { ...(mode !== undefined && { mode }), ...(path !== undefined && { path }) };
  return { name, size, sha256, role, ...optional };
}

/** Where a config file is in the release, relative to its top. */
export function releasePlace({ name, path }: Pick<Artifact, 'name' | 'path'>): string {
  return path ?? name;
}

/** Whether no config file is in place of another one, or of its directory. */
export function areConfigsApart(files: readonly Pick<Artifact, 'role' | 'name' | 'path'>[]): boolean {
  const places = files.filter(({ role }) => role === 'config').map(releasePlace);
  return !places.some((one, i) => places.some((other, j) => i !== j && `${one}/`.startsWith(`${other}/`)));
}

/** The files of one version: one package, or several .deb files, and no two files with the same name. */
export const artifacts = z
  .array(artifact)
  .min(1)
  .max(32)
  .refine((all) => new Set(all.map((one) => one.name)).size === all.length, {
    error: 'two artifacts have the same name',
  })
  .refine((all) => areConfigsApart(all), {
    error: 'a config file is in place of the directory of another one',
  })
  .refine(
    (all) => {
      const packages = packagesOf(all);
      return packages.length === 1 || (packages.length > 1 && packages.every((one) => isDeb(one.name)));
    },
    { error: 'exactly one artifact must be the package, unless all packages are .deb files' },
  );

/** Whether the name is that of a Debian package; several of them can be one version. */
function isDeb(name: string): boolean {
  return name.endsWith('.deb');
}

/** The role of a further file of a push whose first file is `first`. */
export function roleBeside(first: string, further: string): Artifact['role'] {
  return isDeb(first) && isDeb(further) ? 'package' : 'config';
}

/** The package of a version, or its packages if they are several .deb files. */
export function packagesOf(all: readonly Artifact[]): Artifact[] {
  return all.filter((one) => one.role === 'package');
}

/** Whether two versions have the same packages, whatever their config files. */
export function samePackages(a: readonly Artifact[], b: readonly Artifact[]): boolean {
  const digests = (all: readonly Artifact[]) =>
    packagesOf(all)
      .map(({ sha256 }) => sha256)
      .sort()
      .join();
  return digests(a) === digests(b);
}

/** The address of a build: an http or https address, else it counts as left out. */
export const buildAddress = z
  .string()
  .max(1024)
  .refine(isWebAddress, { error: 'not an http or https address' })
  .optional()
  .catch(undefined);

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && !/[\s\p{C}]/u.test(text);
}

/** The signed list of a version's files. It is written after the files: then the version exists. It never changes. */
export const manifest = z.looseObject({
  v: z.literal(1),
  service: serviceName,
  version: versionName,
  artifacts,
  pushedAt: z.iso.datetime(),
  pushedBy: z.string().max(256),
  /** The CI build that pushed the files. Older publishers omit it. */
  build: buildAddress,
  nonce: z.string().max(64),
});
export type Manifest = z.infer<typeof manifest>;

/** `artifacts/SERVICE/index.json`: the pushes, the newest first. It is only a cache of what the manifests say. */
export const versionIndex = z.looseObject({
  v: z.literal(1),
  nonce: z.string().max(64),
  pushes: z.array(
    z.looseObject({ version: versionName, pushedAt: z.iso.datetime(), pushedBy: z.string().max(256) }),
  ),
});
export type VersionIndex = z.infer<typeof versionIndex>;

/** Whether two sets of artifacts are the same bytes under the same names, in any order. */
export function sameArtifacts(a: readonly Artifact[], b: readonly Artifact[]): boolean {
  const line = (one: Artifact) => `${one.role}:${releasePlace(one)}:${one.sha256}:${one.size}`;
  const mine = a.map(line).sort();
  const theirs = b.map(line).sort();
  return mine.length === theirs.length && mine.every((value, i) => value === theirs[i]);
}
