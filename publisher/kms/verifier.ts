import { isCode, messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { kidOf, type PublicKey, type Verifier, verifierOf } from '../../shared/signing.ts';

/**
 * A verifier that accepts documents signed by any of `trusted`, and by the key of KMS named `name`. KMS is asked for its
 * public key only for a document that no key of `trusted` signed: with the public key of the signing key in `trust`, a
 * command that signs nothing makes no call to KMS and needs no permission for it.
 */
export function kmsVerifier(
  trusted: readonly PublicKey[],
  name: string,
  readOwn: () => Promise<PublicKey>,
): Verifier {
  const known = verifierOf(trusted);
  return {
    kids: known.kids,
    async verify(typ, text, schema) {
      const kid = kidOf(typ, text);
      if (kid === undefined || known.kids.includes(kid)) return await known.verify(typ, text, schema);
      const own = await readOwn().catch((error: unknown) => {
        if (!isCode(error, 'KEY_INVALID', 'AWS_DENIED', 'AWS_REFUSED')) throw error;
        throw new TriggerDeployError(
          'SIGNATURE_INVALID',
          `signed by an unknown key (kid ${kid}): ${messageOf(error)}`,
          { cause: error, hint: error.hint },
        );
      });
      if (own.kid === kid) return await verifierOf([own]).verify(typ, text, schema);
      throw new TriggerDeployError(
        'SIGNATURE_INVALID',
        `signed by an unknown key (kid ${kid}); ${name} is the key with the kid ${own.kid}`,
        {
          hint: `if the alias was retargeted, or the key was rotated: trigger-deploy keygen --kms FORMER-KEY-ID writes the public key of the former key; add that file to \`trust\` of the environment`,
        },
      );
    },
  };
}
