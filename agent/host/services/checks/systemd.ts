import { unitName } from '../../../config-fields.ts';
import { runCommand } from '../../process/run-command.ts';
import { argvFor, parseShow } from '../systemd.ts';
import { checkType, commandBounds } from './check-type.ts';

/** Passes if systemd reports the unit active. The unit may be another one than the service's, such as its socket. */
export const systemd = checkType({
  fields: { unit: unitName },

  describe: ({ unit }) => `unit ${unit}`,

  async probe(check, _expected, { signal }) {
    // This does not use `run`, which records the command in the command registry: a query changes nothing.
    const { exitCode, stdout } = await runCommand(argvFor.show(check.unit), {
      signal,
      ...commandBounds(check),
    });
    if (exitCode !== 0) return { ok: false, note: 'systemd does not answer' };
    const { active, sub } = parseShow(stdout);
    return { ok: active === 'active', note: `systemd ${active} (${sub})` };
  },
});
