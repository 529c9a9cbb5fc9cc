import type { Log } from '../../shared/log.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { stateAtStart } from './recover.ts';
import type { ServiceState } from './state.ts';

/** Returns the journalled state. If another instance wrote it, journals and returns a new state instead. */
export async function stateOnDisk(
  { service, ports, identity }: { service: ServiceConfig; ports: Ports; identity: Identity },
  log: Log,
): Promise<ServiceState> {
  const { state: loaded, quarantined, emptied } = await ports.journal.load();
  if (quarantined !== undefined) {
    log.error({ quarantined }, 'part of the journal could not be read and was moved aside');
  }
  if (emptied !== undefined) {
    log.error(
      { journal: emptied },
      'the journal is empty: starting without the earlier state of this service',
    );
  }
  const here = { instance: identity.instance, service: service.name };
  const { state, cloned } = stateAtStart(loaded, here);
  if (cloned) {
    log.warn(
      { from: loaded?.instance },
      'the state was copied from another instance: releases kept, the rest reset',
    );
    await ports.journal.append(state);
  }
  return state;
}
