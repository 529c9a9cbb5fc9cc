import { expect, test } from 'vitest';
import { parsePlan } from '../../../../../agent/host/deb/apt.ts';
import { parseContents, parseSearch } from '../../../../../agent/host/deb/conflicts.ts';
import { parseRelations } from '../../../../../agent/host/deb/dependencies.ts';
import { bareVersion, isSettled, parseControl, parseShow } from '../../../../../agent/host/deb/dpkg.ts';
import { isUnitOf, unitArgv } from '../../../../../agent/host/deb/dpkg-unit.ts';
import { reasonIn } from '../../../../../agent/host/deb/install.ts';

test('a version name has no epoch', () => {
  expect(bareVersion('2:1.4.69-1+deb12u1')).toBe('1.4.69-1+deb12u1');
  expect(bareVersion('1.0~rc1')).toBe('1.0~rc1');
});

test('the output of dpkg-query is parsed by line, and a package that waits for triggers is settled', () => {
  const shown = parseShow(
    [
      'edge\tamd64\t1:1.0\tinstalled\tok\tno\tlibx (= 1), y\t\t\t\ta (>= 1)\tb, c',
      'edge\ti386\t1:1.0\thalf-installed\treinstreq\tno\t\t\t\t\t\t',
      'half a line',
      'z\tall\t1\ttriggers-awaited\tok\tforeign\t\t\t\t\t\t',
      '',
    ].join('\n'),
  );
  expect(shown.map(({ name, architecture }) => `${name}:${architecture}`)).toEqual([
    'edge:amd64',
    'edge:i386',
    'z:all',
  ]);
  expect(shown[0]).toMatchObject({ provides: 'libx (= 1), y', depends: 'a (>= 1), b, c' });
  expect(shown.map(isSettled)).toEqual([true, false, true]);
});

test('a folded field of a control file is one value', () => {
  expect(parseControl('Package: x\nDepends: a (>= 1),\n b | c\nVersion: 1:2\n')).toEqual(
    new Map([
      ['Package', 'x'],
      ['Depends', 'a (>= 1), b | c'],
      ['Version', '1:2'],
    ]),
  );
});

test('relations are parsed with alternatives, qualifiers and versions', () => {
  expect(parseRelations('a (>= 1:2.0-1), b:any|c ( << 3 ), , virtual')).toEqual([
    [{ name: 'a', qualifier: undefined, version: { relation: '>=', is: '1:2.0-1' } }],
    [
      { name: 'b', qualifier: 'any', version: undefined },
      { name: 'c', qualifier: undefined, version: { relation: '<<', is: '3' } },
    ],
    [{ name: 'virtual', qualifier: undefined, version: undefined }],
  ]);
});

test('apt’s plan has the packages that it would install and remove', () => {
  const text = `Reading package lists...
Inst liba [1.0] (1.1 Debian:12/stable [amd64]) []
Inst edge (2:1.0 local-deb [all])
Remv old-edge [0.9]
Conf edge (2:1.0 local-deb [all])`;
  expect(parsePlan(text)).toEqual({ install: ['liba=1.1', 'edge=2:1.0'], remove: ['old-edge'] });
});

test('the reason of a failure is dpkg’s own line about the package', () => {
  const about = 'dpkg: error processing package edge (--install):\n installed edge package failed with 3\n';
  expect(reasonIn(`Setting up edge\n${about}Errors were encountered`)).toBe(
    'installed edge package failed with 3',
  );
  expect(reasonIn('dpkg: error: cannot access archive')).toBe('cannot access archive');
  expect(reasonIn('nothing of that kind')).toBeUndefined();
});

test('a unit belongs to the service whose whole name it has', () => {
  const unit = (service: string) => `trigger-deploy-${service}-01JDB2N5D3F8G7H6J5K4M3N2P1-back-2.service`;
  expect(isUnitOf('edge', unit('edge'))).toBe(true);
  expect(isUnitOf('edge', unit('edge-eu'))).toBe(false);
  expect(isUnitOf('edge', 'trigger-deploy-edge-agent.service')).toBe(false);
});

test('the unit outlives the agent, waits at a shutdown, and leaves no script behind', () => {
  const argv = unitArgv.run('u.service', ['dpkg', '--install', 'x.deb'], {
    log: '/var/x.log',
    timeout: 1500,
  });
  expect(argv.slice(0, 2)).toEqual(['systemd-run', '--quiet']);
  expect(argv).not.toContain('--pipe');
  expect(argv).not.toContain('--wait');
  expect(argv).toEqual(
    expect.arrayContaining([
      '--unit=u.service',
      '--property=KillMode=mixed',
      '--property=KillSignal=SIGCONT',
      '--property=RuntimeMaxSec=62',
      '--property=StandardOutput=append:/var/x.log',
      '--setenv=DEBIAN_FRONTEND=noninteractive',
    ]),
  );
  expect(argv.slice(-3)).toEqual(['dpkg', '--install', 'x.deb']);
});

test('the contents of a .deb are its files and links, with spaces in their names, and no directories', () => {
  const listed = [
    'drwxr-xr-x root/root         0 2026-01-02 10:20 ./usr/',
    '-rwxr-xr-x root/root    123456 2026-01-02 10:20 ./usr/bin/a b',
    'lrwxrwxrwx root/root         0 2026-01-02 10:20 ./usr/bin/c -> a b',
    'hrwxr-xr-x root/root         0 2026-01-02 10:20 ./usr/bin/d link to ./usr/bin/a b',
  ].join('\n');
  expect(parseContents(listed)).toEqual(['/usr/bin/a b', '/usr/bin/c', '/usr/bin/d']);
});

test('a file has the owners that dpkg-query names, and a diverted file has none', () => {
  const found = [
    'edge, libedge:amd64: /usr/share/both',
    'dash: /bin/sh',
    'diversion by other from: /bin/sh',
    'diversion by other to: /bin/sh.distrib',
    'local diversion from: /x',
  ].join('\n');
  expect([...parseSearch(found)]).toEqual([['/usr/share/both', ['edge', 'libedge:amd64']]]);
});
