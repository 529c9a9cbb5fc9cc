import type { ServiceState } from '../../../../agent/deploy/state.ts';
import type { Ending } from '../../../../shared/states.ts';

/** What was said of deployment `n`; `others` is a deploy that is aimed at other instances. */
export interface Said {
  readonly n: number;
  readonly kind: 'deploy' | 'prepare' | 'cancel' | 'others';
}

/** What may have become of a deployment: one of `endings`, or none yet. */
interface Fate {
  /** Its deploy was announced, not only its prepare. */
  going: boolean;
  endings: Set<Ending>;
}

/**
 * What an instance must have made of what it heard, in that order, whenever each deployment began and however often
 * the agent was restarted. Only what time decides is left open: a deployment under way may have been quicker than the
 * cancel, or the newer one, that came after it.
 */
function fatesOf(heard: readonly Said[]): ReadonlyMap<number, Fate> {
  const fates = new Map<number, Fate>();
  const cancelled = new Set<number>();
  let seen = 0;
  const begin = (n: number, going: boolean) => {
    seen = n;
    // What is only prepared has switched nothing: it gives way for certain.
    for (const fate of fates.values()) {
      if (fate.endings.size === 0) fate.endings.add('superseded');
      else if (fate.endings.has('succeeded')) fate.endings.add('superseded');
    }
    fates.set(n, { going, endings: new Set(going ? ['succeeded'] : []) });
  };
  for (const { n, kind } of heard) {
    const fate = fates.get(n);
    if (kind === 'others') seen = Math.max(seen, n);
    else if (kind === 'cancel') {
      cancelled.add(n);
      if (fate && (fate.endings.size === 0 || fate.endings.has('succeeded'))) fate.endings.add('cancelled');
    } else if (fate) {
      if (kind === 'deploy' && fate.endings.size === 0 && n >= seen) {
        fate.going = true;
        fate.endings.add('succeeded');
      }
    } else if (n < seen) fates.set(n, { going: false, endings: new Set(['superseded']) });
    else if (cancelled.has(n)) {
      seen = n;
      fates.set(n, { going: false, endings: new Set(['cancelled']) });
    } else begin(n, kind === 'deploy');
  }
  return fates;
}

/** What is wrong with where the instance ended, in words; empty when nothing is. */
export function differences(
  heard: readonly Said[],
  found: { endings: ReadonlyMap<number, readonly Ending[]>; state: ServiceState; current: string | null },
): string[] {
  const wrong: string[] = [];
  const succeeded: number[] = [];
  for (const [n, { endings }] of fatesOf(heard)) {
    const had = found.endings.get(n) ?? [];
    const [ending] = had;
    if (had.length > 1) wrong.push(`${n} has ${had.length} endings: ${had.join(', ')}`);
    if (ending === undefined && endings.size > 0) wrong.push(`${n} has no ending: ${[...endings]}`);
    if (ending !== undefined && !endings.has(ending)) wrong.push(`${n} ended ${ending}: ${[...endings]}`);
    if (ending === 'succeeded') succeeded.push(n);
  }
  for (const n of found.endings.keys()) if (!fatesOf(heard).has(n)) wrong.push(`${n} ended, never heard of`);
  const runs = succeeded.length > 0 ? Math.max(...succeeded) : null;
  if ((found.state.running?.sequence ?? null) !== runs) {
    wrong.push(`it runs ${found.state.running?.sequence}, the highest that succeeded is ${runs}`);
  }
  if (found.current !== (runs === null ? null : `1.0.${runs}`)) wrong.push(`current is ${found.current}`);
  return wrong;
}
