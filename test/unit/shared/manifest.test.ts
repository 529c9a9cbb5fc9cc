import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Artifact,
  artifacts,
  bareArtifact,
  manifest,
  sameArtifacts,
  versionIndex,
} from '../../../shared/manifest.ts';

const JAR: Artifact = { name: 'payments.jar', size: 10, sha256: 'a'.repeat(64), role: 'package' };
const YAML: Artifact = { name: 'application-dev.yaml', size: 3, sha256: 'b'.repeat(64), role: 'config' };
const MANIFEST = {
  v: 1,
  service: 'payments',
  version: '1.4.2',
  artifacts: [JAR, YAML],
  pushedAt: '2026-01-31T08:14:02.113Z',
  pushedBy: 'jenkins payments#4711',
  nonce: 'n',
};

const accepts = (value: unknown) => artifacts.safeParse(value).success;

describe('the artifacts of a version', () => {
  test('a package alone, and a package with config files, are accepted', () => {
    expect(accepts([JAR])).toBe(true);
    expect(accepts([YAML, JAR])).toBe(true);
  });

  test.each<[string, unknown]>([
    ['none at all', []],
    ['no package', [YAML]],
    ['two packages', [JAR, { ...JAR, name: 'other.jar' }]],
    ['two files of one name', [JAR, { ...YAML, name: JAR.name }]],
    ['a name that leaves its directory', [{ ...JAR, name: '../payments.jar' }]],
    ['a name that is a path', [{ ...JAR, name: 'lib/payments.jar' }]],
    ['a negative size', [{ ...JAR, size: -1 }]],
    ['half a byte', [{ ...JAR, size: 0.5 }]],
    ['a size beyond exact integers', [{ ...JAR, size: 2 ** 60 }]],
    ['a size as text', [{ ...JAR, size: '10' }]],
    ['a digest in capitals', [{ ...JAR, sha256: 'A'.repeat(64) }]],
    ['no digest', [{ name: JAR.name, size: JAR.size, role: JAR.role }]],
    ['an unknown role', [{ ...JAR, role: 'script' }]],
    ['33 files', [JAR, ...Array.from({ length: 32 }, (_, i) => ({ ...YAML, name: `f${i}` }))]],
    ['something else than a list', { 0: JAR }],
  ])('%s is refused', (_, value) => {
    expect(accepts(value)).toBe(false);
  });

  test('32 files are accepted', () => {
    expect(accepts([JAR, ...Array.from({ length: 31 }, (_, i) => ({ ...YAML, name: `f${i}` }))])).toBe(true);
  });
});

describe('the path of a config file', () => {
  const at = (path: string, more = {}) => ({ ...YAML, name: path.replaceAll('/', '@'), path, ...more });

  test('is part of what a version is, and is kept in the journal', () => {
    const [one, other] = [at('config/app.yml'), at('conf/app.yml')];
    expect(accepts([JAR, one, other])).toBe(true);
    expect(bareArtifact(one)).toEqual(one);
    expect(sameArtifacts([JAR, one], [JAR, other])).toBe(false);
  });

  test('is stored under a name that an agent of version 0.1, which would put it at the top, refuses', () => {
    const oldName = /^[A-Za-z0-9][A-Za-z0-9._+~-]*$/;
    const segment = fc.stringMatching(/^[A-Za-z0-9][a-z0-9.]{0,5}[a-z]$/);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 2, maxLength: 4 }), (segments) => {
        const path = segments.join('/');
        fc.pre(!path.includes('..'));
        expect(accepts([JAR, at(path)]), path).toBe(true);
        expect(at(path).name).not.toMatch(oldName);
        expect(accepts([JAR, at(path, { name: segments.at(-1) })])).toBe(false);
      }),
    );
  });

  test.each<[string, unknown[]]>([
    ...[
      '../a',
      'a/../b',
      '/etc/a',
      'a//b',
      'a/',
      './a',
      'a/.',
      'a/..',
      'a\\b/c',
      'a/-b',
      'a/b\n',
      'a/\0',
      '~/a',
      'a',
    ].map((path): [string, unknown[]] => [`the path ${JSON.stringify(path)}`, [at(path)]]),
    ['one that is too deep', [at('a/b/c/d/e/f/g/h/i')]],
    ['one that is too long', [at(`${'a'.repeat(100)}/${'b'.repeat(30)}`)]],
    ['the record of the release', [at('a/.release.json')]],
    ['two files at one path', [at('a/b'), at('a/b', { sha256: 'c'.repeat(64) })]],
    ['one below another file', [{ ...YAML, name: 'a' }, at('a/b')]],
    ['one below the file of another path', [at('a/b/c'), at('a/b')]],
    ['a package with a path', [{ ...at('a/b'), role: 'package' }]],
  ])('%s is refused', (_, files) => {
    const wanted = files.some((file) => (file as Artifact).role === 'package') ? files : [JAR, ...files];
    expect(accepts(wanted)).toBe(false);
  });
});

describe('a manifest', () => {
  test('keeps keys that a newer publisher adds', () => {
    expect(manifest.parse({ ...MANIFEST, builtFrom: 'abc' })).toEqual({ ...MANIFEST, builtFrom: 'abc' });
  });

  test.each<[string, object]>([
    ['of another format', { v: 2 }],
    ['of a version named latest', { version: 'latest' }],
    ['pushed at no time', { pushedAt: 'yesterday' }],
    ['pushed at a local time', { pushedAt: '2026-01-31T08:14:02+01:00' }],
    ['of a verb', { service: 'rollback' }],
  ])('%s is refused', (_, wrong) => {
    expect(manifest.safeParse({ ...MANIFEST, ...wrong }).success).toBe(false);
  });
});

test('an index names versions, and nothing that is no version', () => {
  const push = { version: '1.4.2', pushedAt: MANIFEST.pushedAt, pushedBy: 'ci' };
  expect(versionIndex.safeParse({ v: 1, nonce: 'n', pushes: [push] }).success).toBe(true);
  expect(versionIndex.safeParse({ v: 1, nonce: 'n', pushes: [{ ...push, version: '../1' }] }).success).toBe(
    false,
  );
});

describe('sameArtifacts', () => {
  const artifact = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    size: fc.nat(3),
    sha256: fc.constantFrom('a'.repeat(64), 'b'.repeat(64)),
    role: fc.constantFrom('package' as const, 'config' as const),
  });
  const list = fc.array(artifact, { maxLength: 4 });

  test('the order does not matter', () => {
    fc.assert(
      fc.property(
        list.chain((all) =>
          fc.tuple(
            fc.constant(all),
            fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
          ),
        ),
        ([all, shuffled]) => sameArtifacts(all, shuffled),
      ),
    );
  });

  test('the one asked is left in its order', () => {
    const all = [JAR, YAML];
    sameArtifacts(all, [YAML, JAR]);
    expect(all).toEqual([JAR, YAML]);
  });

  test.each<[string, Artifact[]]>([
    ['one more', [JAR, YAML, { ...YAML, name: 'x' }]],
    ['one less', [JAR]],
    ['another digest', [JAR, { ...YAML, sha256: 'c'.repeat(64) }]],
    ['another size', [JAR, { ...YAML, size: 4 }]],
    ['another name', [JAR, { ...YAML, name: 'x' }]],
    ['another role', [JAR, { ...YAML, role: 'package' }]],
    ['one twice instead of both', [JAR, JAR]],
    ['none', []],
  ])('%s is not the same', (_, other) => {
    expect(sameArtifacts([JAR, YAML], other)).toBe(false);
    expect(sameArtifacts(other, [JAR, YAML])).toBe(false);
  });

  test('what else a newer publisher says of a file does not matter', () => {
    expect(sameArtifacts([JAR], [{ ...JAR, note: 'x' }])).toBe(true);
  });
});
