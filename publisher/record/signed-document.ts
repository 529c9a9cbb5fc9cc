import type * as z from 'zod';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { DocumentType, Verifier } from '../../shared/signing.ts';

/**
 * Verifies the signed document `text`, which was read from `key`, and returns its content.
 * @throws SIGNATURE_INVALID, DOCUMENT_INVALID, with the key in the message.
 */
export async function verifyStored<T>(
  verifier: Verifier,
  typ: DocumentType,
  key: string,
  text: string,
  schema: z.ZodType<T>,
): Promise<T> {
  try {
    return await verifier.verify(typ, text.trim(), schema);
  } catch (cause) {
    if (!isCode(cause, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw cause;
    const hint =
      cause.code === 'SIGNATURE_INVALID'
        ? (cause.hint ?? 'if you trust the signer, add its public key to `trust` of the environment')
        : undefined;
    throw new TriggerDeployError(cause.code, `${key}: ${cause.message}`, { cause, hint });
  }
}
