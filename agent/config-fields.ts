import { isAbsolute, resolve } from 'node:path';
import * as z from 'zod';
import { cleanTail } from '../shared/clean-text.ts';
import { duration } from '../shared/config-file.ts';
import { MOST_TAGS, TAG_LIMITS } from '../shared/report.ts';

/** Schemas of single values in agent.yaml, for config.ts and for the types of health checks. Pure. */

export const absolutePath = z
  .string()
  .refine((path) => isAbsolute(path) && !path.split('/').includes('..') && !path.includes('\0'), {
    error: 'expected an absolute path without ".."',
  })
  // Each directory gets one spelling: `/opt/payments/` becomes `/opt/payments`.
  .transform((path) => resolve(path));

/** A place outside a release: absolute, or counted from the release's directory, as the target of a link is. */
export const linkPlace = z.string().refine(
  (place) => {
    const parts = place.split('/').filter((part) => part !== '' && part !== '.');
    const climbs = parts.lastIndexOf('..') + 1;
    const isLeading = parts.slice(0, climbs).every((part) => part === '..');
    return isLeading && (isAbsolute(place) ? climbs === 0 : climbs > 0) && !place.includes('\0');
  },
  { error: 'expected an absolute path without "..", or one that begins with "..", such as ../../shared' },
);

/** A duration in ms. It is not 0, because a timeout of 0 would end the work before it begins. */
export const positive = duration.refine((ms) => ms > 0, { error: 'expected more than 0' });

/** A command. Its program has a full path: an agent that runs as root must not search a PATH it does not control. */
export const argv = z
  .array(z.string().refine((word) => !word.includes('\0'), { error: 'expected no NUL character' }))
  .min(1)
  .max(64)
  .refine((words) => isAbsolute(words[0] ?? ''), {
    error:
      'expected an argv array whose first word is an absolute path, such as [/usr/local/bin/drain, payments]',
  });

const ACCOUNT = /^[a-z_][a-z0-9_-]{0,31}\$?$/;
export const userName = z.string().regex(ACCOUNT, 'expected a user name');
export const groupName = z.string().regex(ACCOUNT, 'expected a group name');

/** The types of units of systemd.unit(5). */
const UNIT =
  /^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,250}\.(service|socket|target|timer|path|mount|automount|swap|device|slice|scope)$/;
/** Units that start a service; by default the one with their own name. */
const STARTS_A_SERVICE = ['socket', 'timer', 'path'];

/** A unit that systemd can look at and start: of any type, but no template without an instance. */
export const anyUnit = z
  .string()
  .regex(UNIT, 'expected a unit such as payments.service')
  .superRefine((unit, context) => {
    const [, name, type] = /^([^@]*)@\.(.*)$/.exec(unit) ?? [];
    if (name === undefined) return;
    const message = `${unit} is a template; name an instance, such as ${name}@1.${type}`;
    context.addIssue({ code: 'custom', message });
  });

/** A unit that runs a version: a service. */
export const serviceUnit = anyUnit.superRefine((unit, context) => {
  const dot = unit.lastIndexOf('.');
  const type = unit.slice(dot + 1);
  if (dot < 0 || type === 'service') return;
  const start = STARTS_A_SERVICE.includes(type) ? `the service it starts, ${unit.slice(0, dot)}` : 'a ';
  const a = /^[aeiou]/.test(type) ? 'an' : 'a';
  const message = `${unit} is ${a} ${type}: it runs no version; name ${start}.service`;
  context.addIssue({ code: 'custom', message });
});

export const environment = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({});

/** The names of files in a directory: `*` and `?` as in a shell. */
export const fileNames = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => !/[/\0\n[\]{}]/.test(text), {
    error: 'expected file names such as "*.log*": only * and ? have a meaning, and the directory is `dir`',
  })
  .refine((text) => text.split('*').length <= 5, { error: 'expected four * at most' });

/** `on` or `off`; YAML 1.1 readers make booleans of them. */
export const onOff = z
  .union([z.boolean(), z.enum(['on', 'off'])], { error: 'expected on or off' })
  .transform((value) => value === true || value === 'on');

export const port = z.int().min(1).max(65_535);

const tagText = (least: number, most: number) =>
  z
    .string('expected text: put it in quotes')
    .min(least, 'expected at least 1 character')
    .max(most, `expected ${most} characters at most`)
    .refine((text) => cleanTail(text) === text && !/[\n\t]/.test(text), {
      error: 'expected no control characters',
    });
/** Tags of an instance. */
export const tags = z
  .record(tagText(1, TAG_LIMITS.key), tagText(0, TAG_LIMITS.value))
  .refine((all) => Object.keys(all).length <= MOST_TAGS, { error: `expected ${MOST_TAGS} tags at most` });
