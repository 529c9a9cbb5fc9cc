import { describe, expect, test } from 'vitest';
import { jsonLine } from '../../../../publisher/render/json.ts';

describe('A JSON line', () => {
  test('holds a long text whole', () => {
    const script = `first ${'x'.repeat(100_000)} last`;
    expect(JSON.parse(jsonLine({ script }))).toEqual({ script });
  });

  test('holds no control characters, neither in a text nor in the name of a field', () => {
    const hostile = '\u001b]0;title\u0007\u001b[2Jst\u202eack\u009b31m';
    const line = jsonLine({ tags: { [hostile]: hostile, plain: 'pr-1' }, list: [{ [hostile]: 1 }] });
    expect(JSON.parse(line)).toEqual({ tags: { stack: 'stack', plain: 'pr-1' }, list: [{ stack: 1 }] });
    expect(line).toMatch(/^[\x20-\x7e]+$/);
  });

  test('keeps a field whose name means something to JavaScript', () => {
    expect(jsonLine({ tags: JSON.parse('{"__proto__":"a","\\u202eb":"c"}') })).toBe(
      '{"tags":{"__proto__":"a","b":"c"}}',
    );
  });
});
