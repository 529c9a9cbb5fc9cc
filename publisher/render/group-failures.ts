import type { Report } from '../../shared/report.ts';
import type { State } from '../../shared/states.ts';

/**
 * Groups reports with the same failure: the same code, and the same message apart from ids, times and addresses.
 * Pure.
 */

/** The reports of one failure, each with an error; the first is the example that is shown. */
export type FailureGroup = readonly [FailedReport, ...FailedReport[]];
export type FailedReport = Report & { error: NonNullable<Report['error']> };

/** The states by severity, the worst first. */
const SEVERITY: readonly State[] = ['broken', 'failed', 'rolled-back', 'rejected'];
const severityOf = ({ state }: Report) =>
  (SEVERITY.indexOf(state) + SEVERITY.length + 1) % (SEVERITY.length + 1);

/** One group per failure, the worst first, then the largest; within a group the worst first, then by instance. */
export function groupFailures(reports: Iterable<Report>): FailureGroup[] {
  const failed = [...reports].filter((report): report is FailedReport => report.error !== undefined);
  failed.sort((a, b) => severityOf(a) - severityOf(b) || (a.instance < b.instance ? -1 : 1));
  const groups = [...Map.groupBy(failed, failureKey).values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [[first, ...others] as const],
  );
  return groups.sort(
    (a, b) =>
      severityOf(a[0]) - severityOf(b[0]) || b.length - a.length || (a[0].instance < b[0].instance ? -1 : 1),
  );
}

/** A cache of the keys: a live table needs the key of each failed instance ten times a second. */
const keys = new WeakMap<FailedReport['error'], string>();

/** Equal for reports of the same failure. */
export function failureKey({ instance, error }: Pick<FailedReport, 'instance' | 'error'>): string {
  const known = keys.get(error);
  if (known !== undefined) return known;
  const key = `${error.code}: ${withoutDifferences(error.message, instance)}`;
  keys.set(error, key);
  return key;
}

/**
 * The parts of a message that differ between instances although the cause is the same. Times come before addresses,
 * because an address pattern also matches a time.
 */
const DIFFERENCES: readonly [RegExp, string][] = [
  [/\bi-[0-9a-f]{8,17}\b/g, '<instance>'],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b/g, '<time>'],
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\bip-\d+-\d+-\d+-\d+(?:\.[a-z0-9-]+)*/g, '<address>'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, '<address>'],
  [/\[[0-9a-f]*:[0-9a-f:.]+\](?::\d+)?/gi, '<address>'],
  [/(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])/gi, '<address>'],
  [/\b0x[0-9a-f]+\b/gi, '<address>'],
  [/@[0-9a-f]{5,8}\b/g, '<address>'],
  [/\b(pid|process)([ =:]+)\d+/gi, '$1$2<pid>'],
  [/\[\d+\]/g, '[<pid>]'],
  [/\b\d+(?:\.\d+)? ?(?:ns|\u00b5s|us|ms|s|sec|seconds?|min|minutes?|h|hours?)\b/g, '<duration>'],
  [/<duration>(?: <duration>)+/g, '<duration>'],
  [/\b\d+(?:\.\d+)? ?(?:B|bytes|[kKMGT]i?B)\b/g, '<size>'],
  // `1 of 3`: one of the three checks that must pass in a row has passed.
  [/\b\d+ of (\d+)\b/g, '<count> of $1'],
];

function withoutDifferences(message: string, instance: string): string {
  // An instance id needs no escaping: it has no special character of a regular expression.
  const own = new RegExp(`(?<![\\w-])${instance}(?![\\w-])`, 'g');
  return DIFFERENCES.reduce(
    (text, [pattern, placeholder]) => text.replace(pattern, placeholder),
    message.replace(own, '<instance>'),
  );
}
