import fc from 'fast-check';
import { expect, test } from 'vitest';
import { argvOf, lackOf, planArgvOf } from '../../../../../publisher/page/acts/act-command.ts';
import { ACTS, type ActForm, formOf, queryOf } from '../../../../../publisher/page/acts/act-form.ts';

const formIn = (query: string): ActForm => {
  const form = formOf(new URLSearchParams(query));
  if (form === undefined || 'wrong' in form) throw new Error(form?.wrong ?? 'no dialog');
  return form;
};
const ID = '01M7AAAAAAAAAAAAAAAAAAAAAA';

test('each dialog types its verb', () => {
  const place = 'env=prd&service=payments';
  const argv = (query: string) => argvOf(formIn(query), 41).join(' ');
  expect(argv(`act=deploy&${place}&version=1.4.2&canary=1&batch=25%25&reason=fix`)).toBe(
    'payments 1.4.2 --env=prd --canary=1 --batch=25% --if-sequence=41 --reason=fix',
  );
  expect(argv(`act=queue&${place}&version=2`)).toBe('payments 2 --env=prd --queue --if-sequence=41');
  expect(argv(`act=jump&${place}&version=2&reason=x`)).toBe(
    'payments 2 --env=prd --jump --if-sequence=41 --reason=x',
  );
  expect(argv(`act=promote&${place}&from=stg&version=2`)).toBe(
    'promote payments --from=stg --to=prd --version=2 --if-sequence=41',
  );
  expect(argv(`act=rollback&${place}&version=1.4.1&with-despite-pause=1&reason=x`)).toBe(
    'rollback payments --env=prd --to=1.4.1 --despite-pause --if-sequence=41 --reason=x',
  );
  expect(argv(`act=restart&${place}&only=i-1,i-2`)).toBe(
    'restart payments --env=prd --only=i-1 --only=i-2 --if-sequence=41',
  );
  expect(argv('act=pause&env=prd&reason=quarter end')).toBe('pause --env=prd --reason=quarter end');
  expect(argv(`act=unpause&${place}`)).toBe('unpause payments --env=prd');
  expect(argv(`act=confirm&env=prd&deployment=${ID}`)).toBe(`confirm ${ID} --env=prd`);
  expect(argv(`act=cancel&env=prd&deployment=${ID}&reason=no`)).toBe(`cancel ${ID} --env=prd --reason=no`);
  expect(argv(`act=resume&env=prd&deployment=${ID}&allow-missing=1&reason=no`)).toBe(
    `resume ${ID} --env=prd --allow-missing=1`,
  );
});

test('a plan is asked for with the same waves, and without the queue', () => {
  const form = formIn('act=deploy&env=prd&service=payments&version=2&canary=1&with-queue=1&allow-missing=3');
  expect(planArgvOf(form, '2')).toEqual(['plan', 'payments', '2', '--env=prd', '--canary=1']);
});

test('no text of an address becomes an option or an argument of its own', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('--despite-pause', '-e', '--', 'x --jump', '\n--jump', "'; rm -rf /", '‮', 'prd'),
  );
  const names = ['env', 'service', 'version', 'deployment', 'from', 'reason', 'canary', 'only'];
  const query = fc.record(Object.fromEntries(names.map((name) => [name, text])), { requiredKeys: [] });
  fc.assert(
    fc.property(fc.constantFrom(...ACTS), query, (act, given) => {
      const form = formOf(new URLSearchParams({ act, ...given } as Record<string, string>));
      if (form === undefined || 'wrong' in form) return;
      const words = argvOf({ ...form, version: form.version || '1' }, 7);
      const bare = words.filter((word) => !word.startsWith('--'));
      const flags = words.filter((word) => word.startsWith('--') && !word.includes('='));
      expect(bare.every((word) => /^[A-Za-z0-9][A-Za-z0-9._+~-]*$/.test(word))).toBe(true);
      expect(flags.every((flag) => flag === `--${act}`)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('a hostile address opens no dialog, and a huge value is cut', () => {
  const wrong = (query: string) => formOf(new URLSearchParams(query));
  expect(wrong('act=rm&env=prd')).toEqual({ wrong: 'names no action of this page' });
  expect(wrong('act=deploy&env=--env&service=a')).toEqual({ wrong: 'names no environment' });
  expect(wrong('act=deploy&env=prd&service=--jump')).toEqual({
    wrong: 'has a service name that cannot be one',
  });
  expect(wrong('act=confirm&env=prd&deployment=x')).toEqual({ wrong: 'names no deployment' });
  expect(formIn(`act=pause&env=prd&reason=${'x'.repeat(5000)}`).reason).toHaveLength(1024);
});

test('an address and the form that it fills in are the same', () => {
  const form = formIn('act=rollback&env=prd&service=web&version=2&with-jump=1&allow-missing=2&reason=a b');
  const query = Object.entries(queryOf(form)).filter(([, value]) => value);
  expect(formOf(new URLSearchParams(query as [string, string][]))).toEqual(form);
});

test('a reason is required where the command line requires it', () => {
  const lack = (query: string) => lackOf(formIn(query));
  expect(lack('act=pause&env=prd')).toBe('Give a reason.');
  expect(lack('act=pause&env=prd&reason= ')).toBe('Give a reason.');
  expect(lack('act=deploy&env=prd&service=a&version=1')).toBeUndefined();
  expect(lack('act=deploy&env=prd&service=a&version=1&with-skip-checks=1')).toBe('Give a reason.');
  expect(lack('act=deploy&env=prd&service=a')).toBe('Choose a version.');
  expect(lack('act=unpause&env=prd')).toBeUndefined();
});

test('a link puts no key of a terminal into the command that is copied', () => {
  const hostile = encodeURIComponent('x\u001b[201~\rid\n\u009b');
  const form = formOf(new URLSearchParams(`act=pause&env=dev&reason=${hostile}`)) as ActForm;
  expect(argvOf(form, undefined)).toEqual(['pause', '--env=dev', '--reason=x [201~ id']);
});
