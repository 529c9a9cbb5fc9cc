/**
 * Reads Prometheus' text format strictly, by its grammar: Prometheus, "Exposition formats", text format 0.0.4. Every line ends in a line
 * feed; a metric has one HELP and one TYPE line before its samples, which stand together; names and label names have the letters of
 * the data model; label values are escaped; a series is there once.
 */
export interface Series {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const HELP = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\\\n]|\\\\[\\\\n])*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|summary)$`);
const NUMBER = /^[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf)$|^NaN$/;

/** @throws at the first line that is not of the format. */
export function parseExposition(text: string): Series[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no line feed');
  const all: Series[] = [];
  const ended = new Set<string>();
  const seen = new Set<string>();
  let metric = { name: '', type: '', helped: '' };
  for (const line of text.slice(0, -1).split('\n')) {
    const wrong = (why: string) => new Error(`${why}: ${line}`);
    const [, helped] = HELP.exec(line) ?? [];
    const [, typed, type = ''] = TYPE.exec(line) ?? [];
    if (helped !== undefined) {
      ended.add(metric.name);
      if (ended.has(helped)) throw wrong('a second HELP');
      metric = { name: helped, type: '', helped };
    } else if (typed !== undefined) {
      if (typed !== metric.helped || metric.type !== '') throw wrong('a TYPE that does not follow its HELP');
      metric.type = type;
      if (type === 'counter' && !typed.endsWith('_total')) throw wrong('a counter without _total');
    } else {
      const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (name === '' || !NUMBER.test(value)) throw wrong('no sample');
      const names =
        metric.type === 'summary' ? [`${metric.name}_sum`, `${metric.name}_count`] : [metric.name];
      if (metric.type === '' || !names.includes(name)) throw wrong(`not a sample of ${metric.name}`);
      if (seen.has(`${name}{${labels}}`)) throw wrong('a second sample');
      seen.add(`${name}{${labels}}`);
      all.push({ name, labels: labelsOf(labels), value: Number(value) });
    }
  }
  return all;
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)];
  const unescaped = (value: string) =>
    value.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
  const labels = Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, unescaped(value)]));
  if (Object.keys(labels).length !== pairs.length) throw new Error(`a label twice: ${text}`);
  return labels;
}
