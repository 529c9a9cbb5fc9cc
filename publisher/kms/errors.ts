import { awsError, awsErrorName } from '../../shared/aws-errors.ts';
import { type ErrorCode, messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { signingKeyAlias } from '../../shared/names.ts';

/**
 * The errors of KMS as errors of this project. KMS uses names that other services use for something else
 * (`NotFoundException` is a missing topic in SNS). AWS KMS API Reference: Sign, GetPublicKey, "Common Error Types".
 */

export interface KmsPlace {
  /** The key as the config names it: `alias/trigger-deploy-prd`. */
  key: string;
  region: string;
  env: string;
}

/** What a signing key must be. */
export const NEEDED =
  'signingKey needs a KMS key with the key spec ECC_NIST_P256 and the key usage SIGN_VERIFY (signatures ES256)';

interface Meaning {
  code: ErrorCode;
  what: (place: KmsPlace) => string;
  hint: (place: KmsPlace) => string;
}

const wrongKind: Meaning = {
  code: 'KEY_INVALID',
  what: ({ key }) => `the KMS key ${key} cannot sign with ECDSA_SHA_256`,
  hint: () => NEEDED,
};
const passing: Meaning = {
  code: 'AWS_UNREACHABLE',
  what: ({ key }) => `KMS cannot use the key ${key} at the moment`,
  hint: () => 'run the command again; what was not signed was not announced',
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  NotFoundException: {
    code: 'KEY_INVALID',
    what: ({ key, region }) => `there is no KMS key ${key} in ${region}, in the account of this publisher`,
    hint: ({ env }) =>
      `correct signingKey, the region or the credentials; the alias of this environment is by default ${signingKeyAlias(env)}; a key of another account needs its ARN`,
  },
  InvalidArnException: {
    code: 'KEY_INVALID',
    what: ({ key }) => `KMS does not take ${key} as the name of a key`,
    hint: () => 'correct signingKey: kms:alias/NAME, kms:KEY-ID or kms:ARN',
  },
  DisabledException: {
    code: 'KEY_INVALID',
    what: ({ key }) => `the KMS key ${key} is disabled`,
    hint: ({ key }) => `find out who disabled it and why; aws kms enable-key --key-id ${key} enables it`,
  },
  KMSInvalidStateException: {
    code: 'KEY_INVALID',
    what: ({ key }) => `the KMS key ${key} is in a state in which it cannot sign, such as pending deletion`,
    hint: ({ key }) =>
      `aws kms describe-key --key-id ${key} shows the state; cancel-key-deletion, then enable-key, bring a key back until its waiting period ends`,
  },
  InvalidKeyUsageException: wrongKind,
  UnsupportedOperationException: wrongKind,
  AccessDeniedException: {
    code: 'AWS_DENIED',
    what: ({ key }) => `this publisher may not use the KMS key ${key}`,
    hint: () =>
      'allow kms:GetPublicKey, and kms:Sign with kms:SigningAlgorithm ECDSA_SHA_256 and kms:MessageType DIGEST, on the ARN of the key (an alias is no resource of these actions)',
  },
  ThrottlingException: {
    code: 'AWS_UNREACHABLE',
    what: ({ key }) => `KMS throttles the calls of this account (key ${key})`,
    hint: () =>
      'run the command again; the request quota "Cryptographic operations (ECC)" of KMS counts all callers of the account in this region',
  },
  KeyUnavailableException: passing,
  DependencyTimeoutException: passing,
  KMSInternalException: passing,
};

/** `doing` completes "cannot …": `sign the deployment`. A TriggerDeployError is returned unchanged. */
export function kmsError(error: unknown, doing: string, place: KmsPlace): TriggerDeployError {
  const meaning = MEANINGS[awsErrorName(error)];
  if (error instanceof TriggerDeployError || meaning === undefined) return awsError(error, doing);
  const { code, what, hint } = meaning;
  return new TriggerDeployError(code, `cannot ${doing}: ${what(place)} (${messageOf(error)})`, {
    cause: error,
    hint: hint(place),
  });
}
