import * as z from 'zod';
import { KINDS, OF_SERVICES } from '../plan/gc-kinds.ts';
import { argument, flag, list, service } from './option-kinds.ts';
import { verb } from './verb.ts';

/** The verb that deletes. It loads its command when it runs. */

const kind = z.enum(KINDS, { error: `expected ${KINDS.join(', ')}` });

export const cleanVerbs = {
  gc: verb({
    usage: '[service]',
    summary: 'Delete what gone instances, dead publishers and old versions left behind',
    group: 'setup',
    options: {
      service: argument(service.optional(), 'Only of this service (default: the whole environment)'),
      yes: flag('Delete (default: only show what would be deleted)'),
      only: list(
        z.array(kind).min(1).optional(),
        `Only this kind (repeatable): ${KINDS.join(', ')} (default: all)`,
        { completes: KINDS },
      ),
    },
    examples: [
      ['$0 gc --env dev', 'a dry run: nothing is deleted'],
      ['$0 gc --env dev --yes', 'exit code 1 if anything could not be looked for, or deleted'],
      ['$0 gc payments --only versions --env dev', 'which versions would go, and which are kept'],
    ],
    notes:
      'Versions and deployment records are deleted only where the config has `retention:`. A version is kept while it runs, is desired, is what a rollback returns to, or was last good.',
    refuse({ service: of, only }) {
      const wrong = only?.filter((one) => of !== undefined && !OF_SERVICES.includes(one)) ?? [];
      return wrong.length > 0 ? `${wrong.join(', ')} do not belong to one service` : undefined;
    },
    async run(session, { service, yes, only }) {
      const [{ gc }, { gcLines, gcTable, gcTotals }] = await Promise.all([
        import('../commands/gc.ts'),
        import('../render/gc.ts'),
      ]);
      const answer = await gc(session, { service, deletes: yes, only });
      const { env, findings, problems } = answer;
      const isWrong = problems.length > 0 || findings.some(({ state }) => state === 'failed');
      return {
        things: [
          ...findings.map((one) => ({ type: 'gc', env, ...one })),
          ...problems.map((one) => ({ type: 'problem', env, ...one })),
          { type: 'gc-total', env, dryRun: !yes, ...gcTotals(answer) },
        ],
        table: (page) => gcTable(answer, page),
        lines: () => gcLines(answer),
        exitCode: isWrong ? 1 : 0,
      };
    },
  }),
};
