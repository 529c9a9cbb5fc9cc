import { unitName } from '../../../config-fields.ts';
import { runCommand } from '../../process/run-command.ts';
import { argvFor, parseShow } from '../systemd.ts';
import { checkType, commandBounds } from './check-type.ts';

/** A unit that systemd calls active, such as a socket that belongs to the service. */
export const systemd = checkType({
  fields: { unit: unitName },

  describe: ({ unit }) => `unit ${unit}`,

  async probe(check, _expected, { signal }) {
    // Not the `run` of the tools: a query needs no entry in the command registry, because it changes nothing.
    const { exitCode, stdout } = await runCommand(argvFor.show(check.unit), {
      signal,
      ...commandBounds(check),
    });
    if (exitCode !== 0) return { ok: false, note: 'systemd does not answer' };
    const { active, sub } = parseShow(stdout);
    return { ok: active === 'active', note: `systemd ${active} (${sub})` };
  },
});
