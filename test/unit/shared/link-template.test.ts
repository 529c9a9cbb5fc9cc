import { expect, it } from 'vitest';
import { fillLink } from '../../../shared/link-template.ts';

it('each value is encoded, so that none adds to the address', () => {
  const filled = fillLink('https://g/x?service={service}&v={version}', {
    service: 'a&b=c#d',
    version: '../{env}"<x>',
  });
  expect(filled).toBe('https://g/x?service=a%26b%3Dc%23d&v=..%2F%7Benv%7D%22%3Cx%3E');
});

it('there is no link where a name of it has no value', () => {
  expect(fillLink('https://g/{env}/{deployment}', { env: 'dev' })).toBeUndefined();
  expect(fillLink('https://g/{since}', { since: 0 })).toBe('https://g/0');
});
