import type { ServiceYaml } from '../../support/fleet/fleet.ts';
import { INTRUDE, SERVICE_USER } from './intruder.ts';

/** Services of commands, run by a user who writes their pid files and never lets them end. */

export const KIOSKS = ['stranger', 'first', 'through', 'reused'] as const;
export type Kiosk = (typeof KIOSKS)[number];

const up = (name: Kiosk) => `/srv/shop/${name}.up`;
/** So many times `reused` is active after its stop command: longer than `stopTimeout`, at 10 times a second. */
const POLLS = 14;
const polls = '/srv/shop/reused.polls';

/** As agent.yaml has it. The first start also runs the attacks of `INTRUDE`. */
export function kiosk(name: Kiosk): ServiceYaml {
  const pidFile = name === 'through' ? '/srv/shop/run/victim.pid' : `/srv/shop/${name}.pid`;
  const isReused = name === 'reused';
  const sh = (script: string) => ['/bin/sh', '-euc', script];
  return {
    package: { type: 'jar', dir: `/opt/${name}` },
    manager: {
      type: 'command',
      start: sh(`rm -f ${polls}; [ -e ${up(name)} ] || ${INTRUDE} ${name}; touch ${up(name)}`),
      stop: sh(isReused ? `kill -KILL $(cat ${pidFile}); : >${polls}` : 'exit 0'),
      status: sh(
        isReused
          ? `[ -e ${up(name)} ]; [ ! -e ${polls} ] || { echo >>${polls}; [ $(wc -l <${polls}) -le ${POLLS} ]; }`
          : `[ -e ${up(name)} ]`,
      ),
      ...{ pidFile, user: SERVICE_USER, stopTimeout: '1s', startTimeout: '20s' },
    },
    watch: 0,
  };
}
