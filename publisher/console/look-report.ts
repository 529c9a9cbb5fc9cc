import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Environments, Looks } from './ports.ts';

/** Where a deployment was, and what one instance reported of it. */
export function openReportLooks(environments: Environments): Pick<Looks, 'find' | 'report'> {
  return {
    async find(deployment, signal) {
      for (const env of await environments.names()) {
        signal.throwIfAborted();
        const { record } = await environments.look(env);
        const service = await record.deployments.find(deployment).catch((error: unknown) => {
          if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return undefined;
          throw error;
        });
        if (service !== undefined) return { env, service };
      }
      throw new TriggerDeployError(
        'DEPLOYMENT_NOT_FOUND',
        `no environment has the deployment ${deployment}`,
        {
          hint: 'the history lists the deployments',
        },
      );
    },
    async report({ env, service, deployment, instance }) {
      if (!(await environments.names()).includes(env)) {
        throw new TriggerDeployError('USAGE', `this console does not have the environment ${env}`);
      }
      const { record } = await environments.look(env);
      const reports = await record.deployments.reports(service, deployment);
      const found = reports.find((one) => one.instance === instance);
      if (found !== undefined) return found;
      throw new TriggerDeployError('INSTANCE_NOT_FOUND', `${deployment} has no report of ${instance}`, {
        hint: 'the page of the deployment lists its instances',
      });
    },
  };
}
