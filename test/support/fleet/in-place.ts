import type { Change } from '../../../agent/deploy/ports.ts';
import type { ServiceManager } from '../../../agent/deploy/service-port.ts';
import type { TriggerDeployError } from '../../../shared/errors.ts';
import { live } from './agent-life.ts';
import { createFakePorts, type Model, orderOf, serviceConfig } from './fake-ports.ts';

/** A package type that replaces files in place: it stops the service, and maintainer scripts may start it. */

interface InPlace {
  /** Versions whose maintainer scripts start the unit. */
  startedByScripts?: string[];
  /** What a switch to a version throws after it stopped the service. */
  failing?: Record<string, TriggerDeployError>;
  whole?: boolean;
  /** The triggers of the service that are up: a stop stops them, and a restart starts those it is told. */
  triggers?: Set<string>;
}

/** Deploys `version` over such a type; its ending, and each change the type was asked for. */
export async function deployInPlace(
  model: Model,
  version: string,
  { startedByScripts = [], failing = {}, whole = true, triggers }: InPlace,
) {
  const changes: Pick<Change, 'direction' | 'attempt' | 'again'>[] = [];
  const ports = createFakePorts(model);
  const { switchTo } = ports.package;
  const { restart, stop } = ports.manager;
  if (triggers) {
    Object.assign(ports.manager, {
      triggers: async () => [...triggers],
      async stop(signal) {
        model.course.push(`journal ${model.journal.at(-1)?.active?.triggers}`);
        triggers.clear();
        await stop(signal);
      },
      async restart(signal, stopped) {
        for (const name of stopped?.names ?? []) triggers.add(name);
        if (stopped?.enabled) triggers.add('enabled');
        return await restart(signal);
      },
    } satisfies Partial<ServiceManager>);
  }
  Object.assign(ports.package, { installsUnit: true });
  ports.package.isWhole = async () => whole;
  ports.package.switchTo = async (to, change) => {
    changes.push({ direction: change.direction, attempt: change.attempt, again: change.again });
    await change.stop();
    const error = failing[to ?? ''];
    if (error) throw error;
    await switchTo(to, change);
    if (to !== null && startedByScripts.includes(to)) {
      model.running = { version: to, pid: 7, invocation: `script-${to}` };
    }
  };
  const life = await live(model, serviceConfig(), ports);
  const order = orderOf(version);
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  return { ending, changes };
}
