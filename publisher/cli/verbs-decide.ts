import {
  argument,
  count,
  deployment,
  duration,
  reason,
  requiredReason,
  service,
  value,
} from './option-kinds.ts';
import { reporting } from './option-sets.ts';
import { said, verb } from './verb.ts';

/**
 * The verbs with which a person confirms, cancels or resumes a deployment, and blocks or allows new deployments. Each
 * verb loads its command when it runs.
 */

const anId = argument(deployment, 'The id of the deployment');
const why = value(reason.optional(), 'Why; recorded in the history');

export const decideVerbs = {
  confirm: verb({
    usage: '<deployment>',
    summary: 'Approve a deployment that is waiting for confirmation',
    group: 'decide',
    onPage: 'signs',
    options: { deployment: anId, reason: why },
    examples: [['$0 confirm 01JDB2Q0V7M3N8T5R9XKZC4W6H --env prd', 'the other waves follow']],
    async run(session, { deployment, reason }) {
      const [{ confirm }, { decisionLines }] = await Promise.all([
        import('../commands/confirm.ts'),
        import('../render/decision.ts'),
      ]);
      const decided = await confirm(session, { deployment, reason });
      return said(decided, () => decisionLines(decided));
    },
  }),

  cancel: verb({
    usage: '<deployment>',
    summary: 'Cancel a deployment (rolling: until it ends; all at once: until the first instance switches)',
    group: 'decide',
    onPage: 'signs',
    options: { deployment: anId, reason: why },
    examples: [['$0 cancel 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'rolling: switched instances roll back']],
    async run(session, { deployment, reason }) {
      const [{ cancel }, { decisionLines }] = await Promise.all([
        import('../commands/cancel.ts'),
        import('../render/decision.ts'),
      ]);
      const decided = await cancel(session, { deployment, reason });
      const exitCode = decided.result === 'too-late' ? 1 : decided.result === 'unknown' ? 3 : 0;
      return { ...said(decided, () => decisionLines(decided)), exitCode };
    },
  }),

  resume: verb({
    usage: '<deployment>',
    summary: 'Continue a rolling deployment whose publisher stopped',
    group: 'decide',
    onPage: 'signs',
    options: {
      deployment: anId,
      timeout: value(
        duration.optional(),
        'How long a wave may take from now on, such as 10m (default: unchanged)',
      ),
      allowMissing: value(
        count.optional(),
        'How many instances may be missing from now on (default: unchanged)',
      ),
      ...reporting,
    },
    examples: [['$0 resume 01JDB2Q0V7M3N8T5R9XKZC4W6H --env prd', 'from any machine']],
    follows: () => true,
    async run(session, { deployment, allowMissing, timeout: timeoutMs }, { gate, detach }) {
      const { resume } = await import('../commands/resume.ts');
      return await resume(session, { deployment, allowMissing, timeoutMs, gate, detach });
    },
  }),

  pause: verb({
    usage: '[service] --reason <why>',
    summary: 'Block new deployments until unpaused',
    group: 'decide',
    onPage: 'signs',
    options: {
      service: argument(service.optional(), 'Only this service (default: the whole environment)'),
      reason: value(
        requiredReason('is required; everyone the pause blocks will see it'),
        'Why; shown to everyone the pause blocks (required)',
      ),
    },
    examples: [
      ['$0 pause --env prd --reason "quarter end"', 'every service'],
      ['$0 pause payments -e prd --reason "incident 4711"', 'one service'],
    ],
    async run(session, { service, reason }) {
      const [{ pause }, { pauseLines }] = await Promise.all([
        import('../commands/pause.ts'),
        import('../render/pause.ts'),
      ]);
      const done = await pause(session, { service, reason });
      return said(done, () => pauseLines(done));
    },
  }),

  unpause: verb({
    usage: '[service]',
    summary: 'Allow deployments again',
    group: 'decide',
    onPage: 'signs',
    options: {
      service: argument(
        service.optional(),
        'End the pause of this service (default: that of the whole environment)',
      ),
      reason: why,
    },
    examples: [['$0 unpause --env prd', 'paused deployments continue']],
    async run(session, { service, reason }) {
      const [{ unpause }, { pauseLines }] = await Promise.all([
        import('../commands/pause.ts'),
        import('../render/pause.ts'),
      ]);
      const done = await unpause(session, { service, reason });
      return said(done, () => pauseLines(done));
    },
  }),
};
