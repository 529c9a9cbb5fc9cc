import { anyUnit } from '../../../config-fields.ts';
import { askSystemd } from '../../process/systemctl.ts';
import { argvFor } from '../systemd.ts';
import { isRunning, parseShow } from '../unit-state.ts';
import { checkType, commandBounds } from './check-type.ts';

/** Passes if systemd reports the unit active. The unit may be another one than the service's, such as its socket. */
export const systemd = checkType({
  fields: { unit: anyUnit },

  describe: ({ unit }) => `unit ${unit}`,

  async probe(check, _expected, { signal }) {
    // This does not use `run`, which records the command in the command registry: a query changes nothing.
    const { timeout } = commandBounds(check);
    const { exitCode, stdout } = await askSystemd(argvFor.show(check.unit), { signal, timeout });
    if (exitCode !== 0) return { ok: false, note: 'systemd does not answer' };
    const { active, sub } = parseShow(stdout);
    return { ok: isRunning(active), note: `systemd ${active} (${sub})` };
  },
});
