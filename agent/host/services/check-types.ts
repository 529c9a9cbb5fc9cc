import type * as z from 'zod';
import type { Check } from '../../deploy/ports.ts';
import type { CheckType } from './checks/check-type.ts';
import { command } from './checks/command.ts';
import { http } from './checks/http.ts';
import { systemd } from './checks/systemd.ts';
import { tcp } from './checks/tcp.ts';

/** The types of health checks, by their keys in agent.yaml. */
export const CHECK_TYPES = { http, tcp, command, systemd };

type CheckTypes = typeof CHECK_TYPES;
type FieldsOf<T> = T extends CheckType<infer Fields> ? z.output<z.ZodObject<Fields>> : never;

/** A check as config.ts makes it: the fields of its type, and the fields of every check. */
export type ConfiguredCheck = {
  [Kind in keyof CheckTypes]: Check & { kind: Kind } & FieldsOf<CheckTypes[Kind]>;
}[keyof CheckTypes];
