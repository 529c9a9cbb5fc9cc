import type { Report } from '../../shared/report.ts';
import { instancesText } from './failure-text.ts';
import { oneLine } from './text.ts';

/** The warnings of instances, as text. Pure. */

/** `warning on i-1, i-2: nothing shows that …`: each warning once, with its instances. */
export function warningTexts(reports: Iterable<Pick<Report, 'instance' | 'warning'>>): string[] {
  const all = [...reports].filter(({ warning }) => warning !== undefined);
  return [...Map.groupBy(all, ({ warning = '' }) => oneLine(warning))].map(
    ([text, group]) => `warning on ${instancesText(group.map(({ instance }) => instance).sort())}: ${text}`,
  );
}
