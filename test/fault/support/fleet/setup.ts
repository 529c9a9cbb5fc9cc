import { join } from 'node:path';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { push } from '../../../../publisher/commands/push.ts';
import { loadEnvironment } from '../../../../publisher/config/load.ts';
import { openSession, type Session } from '../../../../publisher/session.ts';
import { ENV, type Fleet } from '../../../support/fleet/fleet.ts';
import { type Behaviour, packSampleService } from '../../../support/fleet/sample-service/package.ts';

/** What lies before a test begins, by the publisher's own code and within this process: a program for each step takes time. */
export interface Setup {
  pushed(service: string, version: string, behaviour?: Behaviour): Promise<void>;
  /** Pushed, and deployed everywhere. */
  deployed(service: string, version: string, behaviour?: Behaviour): Promise<void>;
  close(): void;
}

export async function openSetup(fleet: Fleet): Promise<Setup> {
  Object.assign(process.env, fleet.cloud.env('setup'));
  const source = { cwd: fleet.publisherDir, home: fleet.dir, variables: {}, file: undefined };
  const env = await loadEnvironment(source, { name: ENV, orHome: false });
  const { signal } = new AbortController();
  const session: Session = await openSession(env, { signal, emit: () => undefined, environment: {} });

  const pushed: Setup['pushed'] = async (service, version, behaviour) => {
    const file = await packSampleService(join(fleet.dir, 'packages', service), version, behaviour);
    await push(session, { service, version, files: [file], configs: [] });
  };
  return {
    pushed,
    async deployed(service, version, behaviour) {
      await pushed(service, version, behaviour);
      const code = await deploy(session, {
        ...{ service, version, wait: true, timeoutMs: 300_000, allowMissing: 0, maxFailures: 0 },
        ...{ onFailure: 'stop', strategy: { name: 'all' }, detach: signal },
      });
      if (code !== 0) throw new Error(`${service} ${version} was not deployed: ${code}`);
    },
    close: () => session.close(),
  };
}
