import type { Report } from '../../shared/report.ts';
import type { Settled } from '../events.ts';
import { type FailedReport, type FailureGroup, groupFailures } from './group-failures.ts';
import type { Page } from './page.ts';
import { lineOf, oneLine, tailLines } from './text.ts';
import { styleOf } from './words.ts';

/** The text of a failure of one instance or of many. Pure. */

/** A list of up to this many instances is shown in full. */
const LONGEST_LIST = 5;
const NAMED = 3;

/** `i-1, i-2, i-3 and 37 more`; a list of five or fewer is shown in full. */
export function instancesText(instances: readonly string[]): string {
  if (instances.length <= LONGEST_LIST) return instances.join(', ');
  return `${instances.slice(0, NAMED).join(', ')} and ${instances.length - NAMED} more`;
}

const groupInstances = (group: FailureGroup) => group.map(({ instance }) => instance);

/** `CHECK_FAILED: GET /health answered 500 for 60 s`: the error of one report. */
const errorText = ({ error }: FailedReport) => `${oneLine(error.code)}: ${oneLine(error.message)}`;

/** `40 instances rolled-back`, `3 instances (1 broken, 2 rolled-back)`, `i-1 failed`. */
function groupText(group: FailureGroup): string {
  const [first, ...others] = group;
  if (others.length === 0) return `${first.instance} ${first.state}`;
  const states = [...Map.groupBy(group, ({ state }) => state)];
  if (states.length === 1) return `${group.length} instances ${first.state}`;
  const counts = states.map(([state, reports]) => `${reports.length} ${state}`).join(', ');
  return `${group.length} instances (${counts})`;
}

/** What a person types to see the report and the log of one instance. */
function showCommand({ deployment, instance, env }: Pick<Report, 'deployment' | 'instance' | 'env'>): string {
  return `trigger-deploy show ${deployment} --instance ${instance} --env ${env}`;
}

/** What to do about the failure, below its message; none for a report of an agent that sends no hints. */
function hintLines({ error }: FailedReport, indent: string): string[] {
  return error.hint === undefined ? [] : [`${indent}→ ${oneLine(error.hint)}`];
}

interface LogTail {
  /** The instance whose log it is. */
  of: FailedReport;
  lines: string[];
}

/** The log of the first instance in the group that has one, because the example may have none. */
function logOf(group: FailureGroup): LogTail {
  for (const report of group) {
    const lines = tailLines(report.error.detail ?? '');
    if (lines.length > 0) return { of: report, lines };
  }
  return { of: group[0], lines: [] };
}

/** The command that shows another instance of the group, with a log if possible; undefined for a group of one. */
function anotherText(group: FailureGroup, { of: shown }: LogTail): string | undefined {
  const others = group.filter((report) => report !== shown);
  const another = others.find(({ error }) => error.detail) ?? others[0];
  return another && `→ the log of another instance: ${showCommand(another)}`;
}

/** The failures of a deployment for a terminal, each once, with at most `longestTail` lines of one instance's log. */
export function failureBlocks(
  reports: Iterable<Report>,
  { columns, paint }: Page,
  longestTail = Number.POSITIVE_INFINITY,
): string[] {
  return groupFailures(reports).flatMap((group) => {
    const [example, ...others] = group;
    const tail = logOf(group);
    const hidden = tail.lines.length - longestTail;
    const cut = (text: string) => lineOf([{ text: `    ${text}` }], columns, paint);
    const log = tail.lines.slice(Math.max(0, hidden)).map((text) => cut(`| ${text}`));
    // A command is never cut: the window wraps it.
    if (hidden > 0) log.unshift(`    | … ${hidden} earlier lines: ${showCommand(tail.of)}`);
    if (others.length > 0 && log.length > 0) log.unshift(cut(`log of ${tail.of.instance}:`));
    const another = anotherText(group, tail);
    return [
      '',
      paint(styleOf(example.state).tone, `  ${groupText(group)}: ${errorText(example)}`),
      ...hintLines(example, '    '),
      ...(others.length > 0 ? [cut(instancesText(groupInstances(group)))] : []),
      ...log,
      ...(another === undefined ? [] : [`    ${another}`]),
    ];
  });
}

/**
 * The failures of a deployment for a pipe, each once: its instances, the message, and the log of one instance. Lines
 * below the first are indented, so that no log line looks like an event. A failure of one instance without a log and a
 * hint is left out, because the line of its report says all.
 */
export function failureLines(reports: Iterable<Report>, prefix: string): string[] {
  const failed = [...reports].filter(({ state }) => state !== 'cancelled' && state !== 'superseded');
  return groupFailures(failed).flatMap((group) => {
    const [example, ...others] = group;
    const tail = logOf(group);
    const log = tail.lines.map((line) => `  | ${line}`);
    const hint = hintLines(example, '  ');
    if (others.length === 0 && log.length === 0 && hint.length === 0) return [];
    const where =
      others.length === 0
        ? example.instance
        : `${group.length} instances (${instancesText(groupInstances(group))})`;
    const whose = others.length > 0 && log.length > 0 ? [`  log of ${tail.of.instance}:`] : [];
    const another = anotherText(group, tail);
    return [
      `${prefix}failure on ${where}: ${errorText(example)}`,
      ...hint,
      ...whose,
      ...log,
      ...(another === undefined ? [] : [`  ${another}`]),
    ];
  });
}

/** What to do about instances that have not finished in time: above the outcome, which stays the last line. */
export function lateLines({ outcome, hint }: Pick<Settled, 'outcome' | 'hint'>): string[] {
  return outcome === 'timed-out' && hint !== undefined ? [`  → ${oneLine(hint)}`] : [];
}
