import { join } from 'node:path';
import { deploy } from '../../../publisher/commands/deploy.ts';
import { push } from '../../../publisher/commands/push.ts';
import { loadEnvironment } from '../../../publisher/config/load.ts';
import { openSession } from '../../../publisher/session.ts';
import { ENV, type Fleet } from './fleet.ts';
import { type Behaviour, packSampleService } from './sample-service/package.ts';

/**
 * The publisher's own code within the test's process, for what a test needs before it begins: to start the program for
 * each push takes ten times the CPU time of the push.
 */
export interface Setup {
  pushed(service: string, version: string, behaviour?: Behaviour): Promise<void>;
  /** Deploys a version that is pushed already to every instance. @throws when it does not succeed everywhere. */
  rolledOut(service: string, version: string): Promise<void>;
  /** Pushed, then rolled out. */
  deployed(service: string, version: string, behaviour?: Behaviour): Promise<void>;
  close(): void;
}

export async function openSetup(fleet: Fleet): Promise<Setup> {
  Object.assign(process.env, fleet.cloud.env('publisher-setup'));
  const source = { cwd: fleet.publisherDir, home: fleet.dir, variables: {}, file: undefined };
  const env = await loadEnvironment(source, { name: ENV, orHome: false });
  const { signal } = new AbortController();
  const session = await openSession(env, { signal, emit: () => undefined, environment: {} });

  const pushed: Setup['pushed'] = async (service, version, behaviour) => {
    const file = await packSampleService(join(fleet.dir, 'packages', service), version, behaviour);
    await push(session, { service, version, files: [file], configs: [] });
  };
  const rolledOut: Setup['rolledOut'] = async (service, version) => {
    const code = await deploy(session, {
      ...{ service, version, wait: true, timeoutMs: 300_000, allowMissing: 0, maxFailures: 0 },
      ...{ onFailure: 'stop', strategy: { name: 'all' }, detach: signal },
    });
    if (code !== 0) throw new Error(`${service} ${version} was not deployed: exit code ${code}`);
  };
  return {
    pushed,
    rolledOut,
    async deployed(service, version, behaviour) {
      await pushed(service, version, behaviour);
      await rolledOut(service, version);
    },
    close: () => session.close(),
  };
}
