import { argv, userName } from '../../../config-fields.ts';
import { checkType, commandBounds, substitute } from './check-type.ts';

/** Passes if the command exits with 0. */
export const command = checkType({
  fields: { run: argv, user: userName.optional() },

  describe: ({ run }) => `command ${run[0]}`,

  async probe(check, expected, { signal, run }) {
    const words = check.run.map((word) => substitute(word, expected));
    const { exitCode } = await run(words, {
      signal,
      ...commandBounds(check),
      user: check.user,
      env: expected.environment,
    });
    if (exitCode === null) return { ok: false, note: 'command ended by a signal' };
    return { ok: exitCode === 0, note: `command exit ${exitCode}` };
  },
});
