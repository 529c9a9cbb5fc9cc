import type { IncomingMessage } from 'node:http';
import type { Features } from '../../../publisher/setup/statements.ts';
import { accessKeyOf } from '../cloud/stand-in-server.ts';
import { refusalOf } from './authorize.ts';
import type { Context } from './document.ts';
import { EVERYTHING } from './places.ts';

/**
 * Why a stand-in for a service of AWS has to refuse the request: the printed policy of the caller's role, with these
 * features, does not allow the action. Undefined when it does.
 */
export function standInRefusal(
  request: IncomingMessage,
  action: string,
  { resource = '*', features, context }: { resource?: string; features: Features; context?: Context },
): string | undefined {
  const accessKeyId = accessKeyOf(request);
  const call = { accessKeyId, action, resource, ...(context && { context }) };
  return refusalOf(call, [{ ...EVERYTHING, features }]);
}
