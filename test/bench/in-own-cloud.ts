import { type Cloud, startCloud } from '../support/cloud/cloud.ts';
import { closeDirectory, makeDirectory } from './clean-up.ts';
import { BUCKET, type Instances, openInstances } from './instances.ts';

/** Runs `work` with a cloud in this process, whose requests it sees, and removes all of it. */
export async function inOwnCloud<T>(
  name: string,
  work: (own: { directory: string; cloud: Cloud; instances: Instances }) => Promise<T>,
): Promise<T> {
  const directory = await makeDirectory(name);
  const cloud = await startCloud();
  const topic = cloud.createTopic('trigger-deploy-dev');
  cloud.createBucket(BUCKET);
  const instances = await openInstances({ directory, cloud: { endpoint: cloud.endpoint, topic } });
  try {
    return await work({ directory, cloud, instances });
  } finally {
    await instances.stop();
    await cloud.stop();
    closeDirectory(directory);
  }
}
