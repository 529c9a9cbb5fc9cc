import { asTriggerDeployError } from '../../shared/errors.ts';
import type { ErrorView } from './api.ts';

/** An error as the pages show it. Its `cause` and `detail` stay in this process. Pure. */
export function errorView(error: unknown): ErrorView {
  const { code, message, hint } = asTriggerDeployError(error);
  return { code, message, ...(hint !== undefined && { hint }) };
}
