import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type FakeKms, startFakeKms } from '../cloud/fake-kms.ts';
import { ENV, type Fleet, type Instance, sampleService, startFleet } from './fleet.ts';

/** A fleet whose publisher signs with keys of KMS. Its agents could ask KMS, too: that they do not is seen in its calls. */
export interface KmsFleet {
  readonly fleet: Fleet;
  readonly kms: FakeKms;
  /** Makes a key in KMS, and its public key file by `keygen --kms`. */
  newKey(name: string): Promise<{ id: string; file: string }>;
  /** Sets `signingKey` and `trust` of the publisher. */
  publishWith(signingKey: string, trust?: readonly string[]): Promise<void>;
  addInstance(id: string, trusted: readonly string[]): Promise<Instance>;
  /** The agent starts again, with other keys. */
  retrust(instance: Instance, trusted: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export const ALIAS = 'alias/trigger-deploy-dev';

export async function startKmsFleet(): Promise<KmsFleet> {
  const kms = await startFakeKms();
  const fleet = await startFleet({ agentEnv: () => kms.env });
  Object.assign(fleet.env, kms.env);
  const keysDir = join(fleet.dir, 'keys');

  async function change(file: string, edit: (config: Record<string, unknown>) => void): Promise<void> {
    const config = parse(await readFile(file, 'utf8'));
    edit(config);
    await writeFile(file, stringify(config));
  }

  return {
    fleet,
    kms,
    async newKey(name) {
      const id = kms.createKey();
      const made = await fleet.publisher('keygen', '--kms', id, '--name', name, '--out', keysDir, '-e', ENV);
      if (made.code !== 0) throw new Error(made.stderr);
      return { id, file: join(keysDir, `${name}.pub.json`) };
    },
    publishWith: (signingKey, trust = []) =>
      change(join(fleet.publisherDir, 'trigger-deploy.yaml'), ({ environments }) =>
        Object.assign((environments as Record<string, object>)[ENV] ?? {}, { signingKey, trust }),
      ),
    addInstance: (id, trusted) =>
      fleet.addInstance(id, (instance) => ({ payments: sampleService(instance) }), {
        trust: { keys: trusted },
      }),
    async retrust(instance, trusted) {
      await fleet.stopAgent(instance);
      await change(instance.configFile, (config) => Object.assign(config, { trust: { keys: trusted } }));
      await fleet.startAgent(instance);
    },
    async stop() {
      await fleet.stop();
      await kms.stop();
    },
  };
}
