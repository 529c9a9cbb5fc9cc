import type { Element } from './strict-xml.ts';

/**
 * The rules of `junit-10.xsd` of Jenkins' xUnit plugin (github.com/jenkinsci/xunit-plugin,
 * src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd), for the elements that are used here, and what readers rely on beside
 * them: the counts of a suite are those of its cases, and no two cases have the same class and name.
 */
interface Rule {
  required?: readonly string[];
  optional: readonly string[];
  children: readonly string[];
  hasText?: true;
}

const OUTCOME: Rule = { optional: ['type', 'message'], children: [], hasText: true };
const TEXT: Rule = { optional: [], children: [], hasText: true };
const RULES: Record<string, Rule> = {
  testsuites: { optional: ['name', 'time', 'tests', 'failures', 'errors'], children: ['testsuite'] },
  testsuite: {
    required: ['name', 'tests', 'failures', 'errors'],
    optional: [
      ...['group', 'time', 'skipped', 'timestamp', 'hostname', 'id', 'package', 'file', 'log', 'url'],
    ],
    children: ['testsuite', 'properties', 'testcase', 'system-out', 'system-err'],
  },
  testcase: {
    required: ['name'],
    optional: ['time', 'classname', 'group'],
    children: ['skipped', 'error', 'failure', 'system-out', 'system-err'],
  },
  properties: { optional: [], children: ['property'] },
  property: { required: ['name', 'value'], optional: [], children: [] },
  ...{ failure: OUTCOME, error: OUTCOME, skipped: OUTCOME, 'system-out': TEXT, 'system-err': TEXT },
};
const TIME = /^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$/;

export function junitMistakes(root: Element): string[] {
  if (root.name !== 'testsuites') return [`the root is ${root.name}`];
  const cases = elements(root, 'testcase').map((one) => `${one.attributes.classname} ${one.attributes.name}`);
  return [
    ...mistakesIn(root),
    ...cases.filter((one, i) => cases.indexOf(one) !== i).map((one) => `two cases: ${one}`),
    ...[root, ...elements(root, 'testsuite')].flatMap(countMistakes),
  ];
}

/** All elements of that name below `root`. */
export const elements = (root: Element, name: string): Element[] =>
  root.children.flatMap((child) => [...(child.name === name ? [child] : []), ...elements(child, name)]);

function mistakesIn(element: Element): string[] {
  const { name, attributes, children, text } = element;
  const rule = RULES[name];
  if (rule === undefined) return [`no such element: ${name}`];
  const { required = [], optional } = rule;
  const given = Object.keys(attributes);
  return [
    ...required.filter((one) => !given.includes(one)).map((one) => `${name} has no ${one}`),
    ...given.filter((one) => ![...required, ...optional].includes(one)).map((one) => `${name} has ${one}`),
    ...(TIME.test(attributes.time ?? '') ? [] : [`no time: ${attributes.time}`]),
    ...(rule.hasText || text.trim() === '' ? [] : [`${name} has a text`]),
    ...children
      .filter((child) => !rule.children.includes(child.name))
      .map((child) => `${child.name} in ${name}`),
    ...children.flatMap(mistakesIn),
  ];
}

function countMistakes(element: Element): string[] {
  const cases = elements(element, 'testcase');
  const having = (outcome: string) =>
    cases.filter(({ children }) => children.some(({ name }) => name === outcome)).length;
  const counts: Record<string, number> = {
    ...{ tests: cases.length, failures: having('failure'), errors: having('error') },
    ...(element.attributes.skipped !== undefined && { skipped: having('skipped') }),
  };
  return Object.entries(counts)
    .filter(([name, count]) => element.attributes[name] !== String(count))
    .map(([name, count]) => `${element.name} says ${element.attributes[name]} ${name}, and has ${count}`);
}
