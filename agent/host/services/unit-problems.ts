import type { Finding } from '../../deploy/ports.ts';
import { loadTrouble, propertiesOf, wordsIn } from './unit-state.ts';

/** What of a unit prevents its restart, and can be known before its stop. Pure. */

export const FACTS = [
  'LoadState',
  'Type',
  'RemainAfterExit',
  'Transient',
  'RefuseManualStart',
  'RefuseManualStop',
  'NeedDaemonReload',
  'User',
  'DynamicUser',
  'ExecStart',
  'RootDirectory',
  'RootImage',
  'TriggeredBy',
] as const;

export interface UnitFacts {
  findings: Finding[];
  /** Those of the findings that say why systemd cannot load it. */
  unloadable: Finding[];
  /** The user that it runs as, if it must exist. */
  user: string | undefined;
  /** The programs that it starts, as this machine sees them. */
  programs: string[];
  /** The sockets, timers and paths that start it. */
  triggeredBy: string[];
}

/** `text` is the output of `systemctl show`. `installsUnit`: the package has the unit, and may repair its file. */
export function parseFacts(unit: string, text: string, installsUnit: boolean): UnitFacts {
  const values = propertiesOf(text);
  const value = (name: (typeof FACTS)[number]) => values.get(name) ?? '';
  const is = (name: (typeof FACTS)[number]) => value(name) === 'yes';
  const load = value('LoadState');
  const findings: Finding[] = [];
  const problem = (what: string, hint: string) => void findings.push({ ok: false, what, hint });
  if (!['', 'loaded', 'merged'].includes(load) && (load === 'masked' || !installsUnit)) {
    const trouble = loadTrouble(unit, load);
    problem(trouble.problem, trouble.hint);
  }
  const unloadable = [...findings];
  if (load !== 'loaded') return { findings, unloadable, user: undefined, programs: [], triggeredBy: [] };
  for (const name of ['RefuseManualStop', 'RefuseManualStart'] as const) {
    if (!is(name)) continue;
    problem(
      `${unit} has ${name}=yes: it cannot be restarted`,
      'remove it from the unit, then run systemctl daemon-reload',
    );
  }
  if (is('Transient')) {
    problem(`${unit} is a transient unit: it is gone once it stops`, 'write a unit file for it');
  }
  if (value('Type') === 'oneshot' && !is('RemainAfterExit')) {
    problem(
      `${unit} is a oneshot unit: it runs and ends, so that it never runs a version`,
      'for a job that a timer starts, use the manager `command` with /bin/true as start, stop and status',
    );
  }
  if (is('NeedDaemonReload')) {
    findings.push({
      ok: true,
      what: `the file of ${unit} was changed; systemd still uses the old one`,
      hint: 'systemctl daemon-reload',
    });
  }
  const hasOwnRoot = value('RootDirectory') !== '' || value('RootImage') !== '';
  const user = is('DynamicUser') || hasOwnRoot || installsUnit ? '' : value('User');
  return {
    findings,
    unloadable,
    // A number needs no entry in the database of users.
    user: user === '' || /^\d+$/.test(user) ? undefined : user,
    triggeredBy: wordsIn(value('TriggeredBy')),
    programs: hasOwnRoot ? [] : programsOf(value('ExecStart')),
  };
}

/** `{ path=/usr/bin/java ; argv[]=… ; ignore_errors=no ; … }`, for each command of the unit. */
function programsOf(execStart: string): string[] {
  return [...execStart.matchAll(/\{ path=(\/[^;]*?) ; argv\[\]=.*? ; ignore_errors=no ;/g)].map(
    ([, path = '']) => path,
  );
}
