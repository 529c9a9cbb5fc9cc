import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import type { Change } from '../../../agent/deploy/ports.ts';
import { createDebPackage, type DebOptions } from '../../../agent/host/deb/deb.ts';
import type { Artifact, Manifest } from '../../../shared/manifest.ts';
import { buildDeb, type DebContent } from '../fleet/debs.ts';
import { calm } from './clock.ts';
import { memoryStore } from './store.ts';
import { programsOnPath, temporaryDirectory } from './temporary.ts';

/**
 * The real dpkg, with a database and a root of the test's own, and a small systemd that runs transient units: what
 * is installed is really installed, and nothing of it outside the test's directory. Maintainer scripts really run,
 * with the root as DPKG_ROOT.
 */
export async function debian(options: Partial<DebOptions> = {}) {
  const root = await temporaryDirectory();
  const [admin, instance] = [join(root, 'admin'), join(root, 'instance')];
  for (const path of ['updates', 'info', 'triggers']) await mkdir(join(admin, path), { recursive: true });
  await mkdir(instance);
  for (const name of ['status', 'available']) await writeFile(join(admin, name), '');
  const own = `--admindir=${admin} --instdir=${instance} --force-script-chrootless --force-not-root --log=/dev/null`;
  const bin = await programsOnPath({
    dpkg: `case "$1" in --print-architecture|--compare-versions) exec /usr/bin/dpkg "$@";; esac
exec /usr/bin/dpkg ${own} "$@"`,
    'dpkg-divert': `exec /usr/bin/dpkg-divert --admindir=${admin} --instdir=${instance} "$@"`,
    'dpkg-query': `exec /usr/bin/dpkg-query --admindir=${admin} "$@"`,
    'apt-get': 'echo "E: no such thing" >&2; exit 100',
    'systemd-run': SYSTEMD_RUN,
    systemctl: SYSTEMCTL,
  });
  await mkdir(join(bin, 'units'));
  onTestFinished(() => killUnits(bin));
  const store = memoryStore();
  const manifests = new Map<string, Manifest>();
  const create = (more: Partial<DebOptions> = {}) =>
    createDebPackage({
      service: 'edge',
      name: 'edge-proxy',
      companions: [],
      dir: join(root, 'debs'),
      keep: 3,
      fetchDependencies: false,
      acceptNoUndo: false,
      installTimeout: 20_000,
      lockTimeout: 20_000,
      store,
      manifests: { read: async (_service, version) => manifests.get(version) },
      ...options,
      ...more,
    });
  const deb = create();
  const build = (version: string, more: Partial<DebContent> = {}) =>
    buildDeb(join(root, 'built'), {
      name: 'edge-proxy',
      version,
      files: { '/usr/share/edge-proxy/version': version },
      ...more,
    });
  const artifact = async (version: string, more?: Partial<DebContent>): Promise<Artifact> =>
    store.put(`edge-${version.replace(/^\d+:/, '')}.deb`, await readFile(await build(version, more)));
  const order = (version: string, artifacts: readonly Artifact[], fresh = false) => ({
    service: 'edge',
    version: version.replace(/^\d+:/, ''),
    artifacts,
    fresh,
  });
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  const world = {
    root,
    bin,
    deb,
    create,
    store,
    manifests,
    notes,
    stops: 0,
    build,
    artifact,
    order,
    prepare: async (version: string, more?: Partial<DebContent>, pkg = deb) =>
      await pkg.prepare(order(version, [await artifact(version, more)]), note, calm),
    change: (more: Partial<Change> = {}): Change => ({
      deployment: '01JDB2N5D3F8G7H6J5K4M3N2P1',
      direction: 'forward',
      attempt: 1,
      again: false,
      stop: async () => {
        world.stops += 1;
      },
      note,
      signal: calm,
      ...more,
    }),
    /** What dpkg-query says of it: `1.0 installed`. */
    async state(name = 'edge-proxy') {
      const words = ['--show', `--showformat=${'$'}{Version} ${'$'}{db:Status-Status}`, name];
      return (await promisify(execFile)(join(bin, 'dpkg-query'), words)).stdout;
    },
    /** By other means. */
    install: async (file: string) => void (await promisify(execFile)(join(bin, 'dpkg'), ['--install', file])),
    /** A file of the root, undefined where there is none. */
    file: (path: string) => readFile(join(instance, path), 'utf8').catch(() => undefined),
    /** What transient units ran: a line each. */
    runs: async () =>
      (await readFile(join(bin, 'runs'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    /** Kills all processes of the unit that runs, as an operator or the OOM killer does. */
    async killUnit() {
      const [unit = ''] = await readdir(join(bin, 'units'));
      await promisify(execFile)(join(bin, 'systemctl'), ['kill', '--signal=KILL', unit]);
    },
    lockFile: join(admin, 'lock-frontend'),
  };
  return world;
}

/** Kills all processes of the units that still run: a failed test may leave a maintainer script that waits for ever. */
async function killUnits(bin: string): Promise<void> {
  const groups = (await readdir(bin)).filter((name) => name.endsWith('.group'));
  for (const name of groups) {
    try {
      process.kill(-Number(await readFile(join(bin, name), 'utf8')), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/**
 * A unit is a file with its state, removed after a success; beside it, while it runs, the id of its process group. A
 * state is renamed into its place: a reader that found an empty file would see a unit that does not exist.
 */
const SYSTEMD_RUN = `
d=$(dirname "$0") unit= log=
while :; do
  case "$1" in
    --unit=*) unit=\${1#*=} ;;
    --property=StandardOutput=append:*) log=\${1#*append:} ;;
    --*) ;;
    *) break ;;
  esac
  shift
done
if [ -e "$d/units/$unit" ]; then echo "Unit $unit was already loaded" >&2; exit 1; fi
echo "$unit $*" >> "$d/runs"
rm -f "$d/$unit.ended"
echo active > "$d/$unit.new"; mv "$d/$unit.new" "$d/units/$unit"
setsid sh -c '
  d=$1 unit=$2; shift 2
  echo $$ > "$d/$unit.group"
  code=0; "$@" || code=$?
  if [ $code = 0 ]; then rm "$d/units/$unit"
  else
    if [ $code -gt 128 ]; then echo failed signal; else echo failed exit-code; fi > "$d/$unit.new"
    mv "$d/$unit.new" "$d/units/$unit"
  fi
  : > "$d/$unit.ended"; rm -f "$d/$unit.group"
' unit "$d" "$unit" "$@" >>"$log" 2>&1 </dev/null &
until [ -s "$d/$unit.group" ] || [ -e "$d/$unit.ended" ]; do sleep 0.01; done`;

const SYSTEMCTL = `
d=$(dirname "$0")
case "$1" in
  show)
    read -r active result 2>/dev/null < "$d/units/$2" || { echo LoadState=not-found; echo ActiveState=inactive; exit 0; }
    echo LoadState=loaded; echo "ActiveState=$active"; echo "Result=\${result:-success}" ;;
  kill)
    kill -s KILL -- "-$(cat "$d/$3.group")" || exit 1
    echo failed signal > "$d/$3.new"; mv "$d/$3.new" "$d/units/$3"; rm -f "$d/$3.group" ;;
  reset-failed) rm -f "$d/units/$2" ;;
  list-units) for unit in "$d"/units/*; do [ -e "$unit" ] && echo "  \${unit##*/} loaded active running dpkg"; done ;;
esac
exit 0`;
