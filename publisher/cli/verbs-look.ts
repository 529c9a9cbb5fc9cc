import { rollingOptions } from './deploy-values.ts';
import {
  argument,
  countUpTo,
  deployment,
  flag,
  instance,
  moment,
  positiveCount,
  service,
  since,
  value,
  versionOrLatest,
} from './option-kinds.ts';
import { DEFAULT_TIMEOUT_MS, rolling, watching } from './option-sets.ts';
import { standingHere, standingOfAll } from './standing-answer.ts';
import { type Answer, type Surroundings, verb } from './verb.ts';

/** The verbs that change nothing. Each loads its command when it runs. */

const aService = argument(service, 'The service');
const anId = argument(deployment, 'The id of the deployment, as history shows it');

export const lookVerbs = {
  status: verb({
    usage: '[service]',
    summary: 'List instances and their versions',
    group: 'look',
    onPage: 'asks',
    options: {
      service: argument(service.optional(), 'Only this service (default: every service)'),
      all: flag('Every environment of the config, side by side', { atTerminal: true }),
      at: value(
        moment.optional(),
        'What was desired and under way at a time in UTC, from the record: 14:02, 2h (ago), 2026-11-01T14:02 (default: now)',
      ),
      noRollCall: flag('Only the record: announce nothing (default: the instances are asked)'),
    },
    examples: [
      ['$0 status --all', 'every environment'],
      ['$0 status --env dev', 'every service'],
      ['$0 status --all --at 14:02', 'which version stood where at that time'],
      ['$0 status payments -e dev --output json', 'one service, for a program'],
    ],
    looks: true,
    refuse: ({ all, env }) => (all && env !== undefined ? '--all and --env cannot be combined' : undefined),
    alone({ all, service, at, noRollCall }, around) {
      if (!all) return undefined;
      if (at !== undefined) return standingOfAll(service, at, around);
      return statusOfAll({ service, rollCall: !noRollCall }, around);
    },
    async run(session, { service, at: moment, noRollCall }) {
      if (moment !== undefined) return await standingHere(session, service, moment);
      const [{ status }, { statusLines, statusTable }] = await Promise.all([
        import('../commands/status.ts'),
        import('../render/status.ts'),
      ]);
      const found = await status(session, { service, rollCall: !noRollCall });
      const { services, env, at } = found;
      const time = new Date(at).toISOString();
      return {
        things: services.map((one) => ({ type: 'status', time, env, ...one })),
        table: (page) => statusTable(found, page),
        lines: () => statusLines(found),
      };
    },
  }),

  history: verb({
    usage: '[service]',
    summary: 'List the last deployments, and the pauses between them',
    group: 'look',
    onPage: 'reads',
    options: {
      service: argument(service.optional(), 'Only this service (default: every service)'),
      limit: value(positiveCount.default(20), 'At most this many deployments (default: 20)', {
        alias: 'n',
      }),
      failed: flag('Only deployments that did not succeed on every instance'),
      since: value(
        since.optional(),
        'Only deployments of a time such as 7d or 1w, or since a date in UTC: 2026-11-01 (default: no limit)',
      ),
      before: value(
        deployment.optional(),
        'Only deployments that are older than this one (default: from the newest on)',
      ),
    },
    examples: [
      ['$0 history payments -e prd --failed --since 7d', 'what failed this week'],
      ['$0 history payments --env dev -n 5', 'the last five'],
      ['$0 history --env prd --since 1d', 'every service, since yesterday'],
    ],
    looks: true,
    async run(session, { service, limit, failed, since, before }) {
      const [{ history }, { historyJson, historyLines, historyTable }] = await Promise.all([
        import('../commands/history.ts'),
        import('../render/history.ts'),
      ]);
      const found = await history(session, { service, limit, failed, since, before });
      return {
        things: historyJson(found),
        table: (page) => historyTable(found, page),
        lines: () => historyLines(found),
      };
    },
  }),

  show: verb({
    usage: '<deployment>',
    summary: 'Show everything recorded about one deployment',
    group: 'look',
    onPage: 'reads',
    options: {
      deployment: anId,
      instance: value(
        instance.optional(),
        'Only this instance, with its whole log tail (default: every instance)',
      ),
    },
    examples: [
      ['$0 show 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'with times, reasons and log tails'],
      ['$0 show 01JDB2Q0V7M3N8T5R9XKZC4W6H --instance i-0a1b2c3d --env dev', 'one instance'],
    ],
    looks: true,
    async run(session, { deployment, instance }) {
      const [{ show }, { showLines, showTable }] = await Promise.all([
        import('../commands/show.ts'),
        import('../render/show.ts'),
      ]);
      const found = await show(session, { deployment, instance });
      return {
        things: [
          {
            type: found.type,
            ...found.deployment,
            decisions: found.decisions,
            url: found.url,
            reports: found.reports,
          },
        ],
        table: (page) => showTable(found, page),
        lines: () => showLines(found),
      };
    },
  }),

  watch: verb({
    usage: '<deployment>',
    summary: 'Follow a deployment to its end',
    group: 'look',
    options: { deployment: anId, ...watching },
    examples: [['$0 watch 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'after Ctrl-C or --no-wait']],
    follows: () => true,
    async run(session, { deployment, timeout: timeoutMs = DEFAULT_TIMEOUT_MS }, { detach }) {
      const { watch } = await import('../commands/watch.ts');
      return await watch(session, { deployment, timeoutMs, detach });
    },
  }),

  versions: verb({
    usage: '<service>',
    summary: 'List the pushed versions of a service and where each runs',
    group: 'look',
    onPage: 'reads',
    options: {
      service: aService,
      limit: value(countUpTo(200).default(20), 'At most this many versions, 1 to 200 (default: 20)', {
        alias: 'n',
      }),
      all: flag('Look for running versions in every environment of the config (default: only in --env)', {
        atTerminal: true,
      }),
    },
    examples: [
      ['$0 versions payments --env dev', 'the newest 20 pushes'],
      ['$0 versions payments --env dev --all', 'where each runs, in every environment'],
    ],
    looks: true,
    async run(session, { service, limit, all }, { environments, open }) {
      const [{ versions }, { versionsJson, versionsLines, versionsTable }] = await Promise.all([
        import('../commands/versions.ts'),
        import('../render/versions.ts'),
      ]);
      const found = await versions(session, {
        service,
        limit,
        others: all ? await environments() : [],
        open,
      });
      return {
        things: versionsJson(found),
        table: (page) => versionsTable(found, page),
        lines: () => versionsLines(found),
      };
    },
  }),

  plan: verb({
    usage: '<service> <version>',
    summary: 'Show the waves of a deployment without deploying',
    group: 'look',
    onPage: 'asks',
    options: {
      service: aService,
      version: argument(versionOrLatest, 'A pushed version, or latest: the newest push'),
      ...rolling,
    },
    examples: [
      ['$0 plan payments 1.4.2 -e prd --canary 1 --batch 25%', 'which instance switches in which wave'],
    ],
    async run(session, values) {
      const [{ plan }, { planLines, planTable }] = await Promise.all([
        import('../commands/plan.ts'),
        import('../render/plan.ts'),
      ]);
      const { service, version } = values;
      const planned = await plan(session, { service, version, ...rollingOptions(session.env, values) });
      return {
        things: [planned],
        table: (page) => planTable(planned, page),
        lines: () => planLines(planned),
      };
    },
  }),
};

async function statusOfAll(
  asked: { service: string | undefined; rollCall: boolean },
  { environments, open }: Surroundings,
): Promise<Answer> {
  const [{ statusAll }, { statusAllLines, statusAllTable, statusAllJson }] = await Promise.all([
    import('../commands/status-all.ts'),
    import('../render/status-all.ts'),
  ]);
  const found = await statusAll({ ...asked, environments: await environments(), open, now: Date.now });
  return {
    things: statusAllJson(found),
    table: (page) => statusAllTable(found, page),
    lines: () => statusAllLines(found),
  };
}
