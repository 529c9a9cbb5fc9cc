import { asTriggerDeployError } from '../../shared/errors.ts';
import { isTerminating } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { ExitCode, PublisherEvent, Settled } from '../events.ts';
import { checkName } from './check-text.ts';
import { applyEvent, emptyView, type Row, spentMs, type View } from './deployment-view.ts';
import { oneLine, tailLines } from './text.ts';
import { element } from './xml.ts';

/**
 * What a command did as JUnit XML, for build servers: each deployment is a test suite, each of its instances a test case. Pure. The form
 * is that of `junit-10.xsd` of Jenkins' xUnit plugin; the readers of GitLab and GitHub take the same. A deployment that failed has at
 * least one failing case, and so has a command that refused or broke off.
 */
export interface JUnit {
  event(event: PublisherEvent): void;
  /** The command has ended, with this exit code or this error. */
  ended(how: { code: ExitCode } | { error: unknown }): void;
  /** The document as of now (ms since the epoch). Until the command has ended, it says that it has not. */
  xml(now: number): string;
}

interface About {
  /** The command, for the name of a case of its own: `deploy payments 1.4.2`. */
  command: string;
  /** `payments.dev`: what the cases are grouped by. */
  group: string;
}

/** How much of logs a document has in all, characters: all instances may fail with a long one. */
const MOST_LOG = 2 * 1024 * 1024;
const MOST_WARNINGS = 100;

interface Suite {
  view: View;
  warnings: string[];
  /** The automatic checks, by name, in the order in which they began. */
  checks: Map<string, Check>;
}
type CheckEvent = Extract<PublisherEvent, { type: 'check' }>;
interface Check {
  /** ms since the epoch */
  startedAt: number;
  last: CheckEvent;
}
interface Case {
  name: string;
  seconds: number;
  kind: 'passed' | 'failure' | 'error' | 'skipped';
  /** `CHECK_FAILED`. */
  type?: string | undefined;
  message?: string | undefined;
  body?: readonly string[];
}

export function createJUnit({ command, group }: About): JUnit {
  const suites: Suite[] = [];
  const early: string[] = [];
  let end: { code: ExitCode } | { error: unknown } | undefined;
  let endedAt: number | undefined;
  let lastAt = 0;

  const suiteOf = (deployment: string) =>
    suites.findLast(({ view }) => view.started?.deployment === deployment) ?? suites.at(-1);
  const apply = (suite: Suite | undefined, event: PublisherEvent) => {
    if (suite) suite.view = applyEvent(suite.view, event);
  };

  return {
    event(event) {
      lastAt = event.at;
      if (event.type === 'started') {
        suites.push({ view: applyEvent(emptyView, event), warnings: [], checks: new Map() });
      } else if (event.type === 'check') noteCheck(suiteOf(event.deployment), event);
      else if (event.type === 'report') apply(suiteOf(event.report.deployment), event);
      // The outcome of the first deployment comes once more after a rollback.
      else if (event.type === 'settled' && !event.afterRollback) apply(suiteOf(event.deployment), event);
      else if (event.type === 'note' && event.level === 'warning') {
        const warnings = suites.at(-1)?.warnings ?? early;
        if (warnings.length < MOST_WARNINGS) warnings.push(oneLine(event.text));
      }
    },

    ended(how) {
      end ??= how;
      endedAt ??= lastAt;
    },

    xml(now) {
      const budget = { left: MOST_LOG };
      const cases = suites.map((suite) => casesOf(suite, endedAt ?? now, budget));
      const own = ownCase(command, end, cases);
      if (own && cases.length > 0) cases.at(-1)?.push(own);
      const rendered = suites.map((suite, i) => suiteXml(suite, cases[i] ?? [], groupOf(group, i)));
      if (suites.length === 0) {
        rendered.push(suiteElement({ name: command }, own ? [own] : [], group, [], early));
      }
      const all = suites.length === 0 ? (own ? [own] : []) : cases.flat();
      const root = element('testsuites', { name: 'trigger-deploy', ...countsOf(all) }, rendered);
      return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`;
    },
  };
}

/** The rollback that follows a failure has cases of its own: the same names, in another group. */
const groupOf = (group: string, index: number) => (index === 0 ? group : `${group}.rollback`);

/**
 * The case of the command itself: it was refused, it broke off, or it failed although no instance did. Undefined where the cases of the
 * instances say all.
 */
function ownCase(
  command: string,
  end: { code: ExitCode } | { error: unknown } | undefined,
  cases: readonly (readonly Case[])[],
): Case | undefined {
  const own = { name: command, seconds: 0 };
  if (end === undefined) {
    const message = 'the command did not end by itself: it was killed, or it still runs';
    return { ...own, kind: 'error', type: 'INTERRUPTED', message };
  }
  if ('error' in end) {
    const { code, message, detail = '', hint } = asTriggerDeployError(end.error);
    const body = [...tailLines(detail), ...(hint === undefined ? [] : [`→ ${oneLine(hint)}`])];
    return { ...own, kind: 'error', type: code, message: oneLine(message), body };
  }
  const isTold = cases.flat().some(({ kind }) => kind === 'failure' || kind === 'error');
  if (end.code !== 0 && !isTold) {
    return {
      ...own,
      kind: 'failure',
      type: `exit ${end.code}`,
      message: `the command ended with exit code ${end.code}`,
    };
  }
  // A command that started no deployment, and succeeded, has one case that passed.
  return cases.length === 0 ? { ...own, kind: 'passed' } : undefined;
}

function noteCheck(suite: Suite | undefined, event: CheckEvent): void {
  const name = checkName(event);
  suite?.checks.set(name, { startedAt: suite.checks.get(name)?.startedAt ?? event.at, last: event });
}

/** A check is a case as an instance is; the watch of the alarms is one only when alarms went off. */
function checkCases({ checks }: Suite): Case[] {
  return [...checks].flatMap(([name, { startedAt, last }]): Case[] => {
    const { state, check, text, output = '' } = last;
    const one = { name, seconds: Math.max(0, last.at - startedAt) / 1000 };
    if (state === 'failed') {
      return [{ ...one, kind: 'failure', type: check, message: oneLine(text), body: tailLines(output) }];
    }
    if (check === 'alarms') return [];
    return [
      state === 'passed'
        ? { ...one, kind: 'passed' }
        : { ...one, kind: 'skipped', message: 'it did not end' },
    ];
  });
}

function casesOf(suite: Suite, now: number, budget: { left: number }): Case[] {
  const { rows, settled, started } = suite.view;
  const ofInstances = [...rows.values()].map((row) => ({
    name: row.instance,
    seconds: spentMs(row, now) / 1000,
    ...verdictOf(row, settled, budget),
  }));
  const cases: Case[] = [...ofInstances, ...checkCases(suite)];
  const isTold = cases.some(({ kind }) => kind === 'failure');
  if (settled && settled.outcome !== 'succeeded' && !isTold) {
    const message = oneLine(settled.text);
    const name = `${started?.action ?? 'deploy'} ${started?.version ?? ''}`.trim();
    const body = settled.hint === undefined ? [] : [`→ ${oneLine(settled.hint)}`];
    const seconds = settled.tookMs / 1000;
    // Somebody called it off; nothing failed.
    const kind = settled.outcome === 'cancelled' ? 'skipped' : 'failure';
    cases.push({ name, seconds, kind, type: settled.outcome, message, body });
  }
  return cases;
}

const FAILED: ReadonlySet<string> = new Set(['failed', 'rolled-back', 'broken', 'rejected']);

/** What became of an instance. What was not its fault is skipped: Jenkins shows that in yellow, with the reason. */
function verdictOf(
  row: Row,
  settled: Settled | undefined,
  budget: { left: number },
): Omit<Case, 'name' | 'seconds'> {
  const { state, report } = row;
  const skipped = (message: string) => ({ kind: 'skipped', message }) as const;
  if (state === 'succeeded') return { kind: 'passed' };
  if (report && isTerminating(report)) return skipped('the instance is being terminated');
  if (FAILED.has(state)) return failureOf(row, budget);
  const isDue = settled?.outcome === 'timed-out' || settled?.outcome === 'failed';
  if (state === 'silent') {
    const message = 'never answered';
    return isDue
      ? { kind: 'failure', type: 'SILENT', message }
      : skipped(`${message}; the deployment allowed that`);
  }
  if (state === 'forgotten') return skipped('silent for so long that nobody waited for it');
  if (state === 'waiting')
    return skipped('not reached: nothing was announced to it, or it has not answered yet');
  if (isEnding(state)) return skipped(oneLine(report?.error?.message ?? state));
  if (settled?.outcome === 'timed-out') {
    return { kind: 'failure', type: 'TIMEOUT', message: `not finished in time: ${state}` };
  }
  return skipped(`not finished: ${state}`);
}

function failureOf({ state, report }: Row, budget: { left: number }): Omit<Case, 'name' | 'seconds'> {
  if (report?.error === undefined) return { kind: 'failure', type: state, message: state };
  const { deployment, instance, env, error } = report;
  const { code, message, hint, detail = '' } = error;
  const isLogShown = detail.length <= budget.left;
  if (isLogShown) budget.left -= detail.length;
  const log = isLogShown ? tailLines(detail) : ['(the log is left out: too many instances failed)'];
  return {
    kind: 'failure',
    type: oneLine(code),
    message: `${state}: ${oneLine(message)}`,
    body: [
      ...(hint === undefined ? [] : [`→ ${oneLine(hint)}`]),
      ...log,
      `→ trigger-deploy show ${deployment} --instance ${instance} --env ${env}`,
    ],
  };
}

const seconds = (value: number) => value.toFixed(3);
const countsOf = (cases: readonly Case[]) => ({
  tests: cases.length,
  failures: cases.filter(({ kind }) => kind === 'failure').length,
  errors: cases.filter(({ kind }) => kind === 'error').length,
  time: seconds(cases.reduce((sum, one) => sum + one.seconds, 0)),
});

function suiteXml({ view, warnings }: Suite, cases: readonly Case[], group: string): string {
  const { started, settled } = view;
  if (started === undefined) return '';
  const { service, version, env, action, deployment, previous, issuedBy, reason, at, url } = started;
  const facts = { deployment, action, version, previous, issuedBy, reason, url, outcome: settled?.outcome };
  const properties = Object.entries(facts).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [element('property', { name, value })],
  );
  const name = `${action} ${service} ${version} in ${env}`;
  const out = settled === undefined ? [] : [element('system-out', {}, { text: settled.text })];
  return suiteElement(
    { name, timestamp: new Date(at).toISOString().slice(0, 19) },
    cases,
    group,
    properties.length === 0 ? out : [element('properties', {}, properties), ...out],
    warnings,
  );
}

function suiteElement(
  attributes: { name: string; timestamp?: string },
  cases: readonly Case[],
  group: string,
  more: readonly string[],
  warnings: readonly string[],
): string {
  const skipped = cases.filter(({ kind }) => kind === 'skipped').length;
  return element('testsuite', { ...attributes, ...countsOf(cases), skipped }, [
    ...more,
    ...cases.map((one) => caseElement(one, group)),
    ...(warnings.length === 0 ? [] : [element('system-err', {}, { text: warnings.join('\n') })]),
  ]);
}

function caseElement({ name, kind, type, message, body = [], ...one }: Case, group: string): string {
  const attributes = { classname: group, name, time: seconds(one.seconds) };
  if (kind === 'passed') return element('testcase', attributes);
  const content = body.length === 0 ? [] : { text: body.join('\n') };
  return element('testcase', attributes, [element(kind, { type, message }, content)]);
}
