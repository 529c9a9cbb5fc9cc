import { orAborted } from '../../../shared/abort.ts';
import { isCode, TriggerDeployError } from '../../../shared/errors.ts';
import type { Environments, Looks } from '../ports.ts';

/** Where a deployment was, and what one instance reported of it. */
export function openReportLooks(environments: Environments): Pick<Looks, 'find' | 'report'> {
  return {
    async find(deployment, signal, only) {
      const names = only === undefined ? await environments.names() : [only];
      const finding = names.map(async (env) => {
        const { record } = await environments.look(env);
        return { env, service: await record.deployments.find(deployment) };
      });
      try {
        return await orAborted(Promise.any(finding), signal);
      } catch (error) {
        if (!(error instanceof AggregateError)) throw error;
        const trouble = error.errors.find((one) => !isCode(one, 'DEPLOYMENT_NOT_FOUND'));
        if (trouble !== undefined) throw trouble;
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
