import type { KeygenAnswer } from '../commands/keygen.ts';

export function keygenLines({ kid, privateFile, publicFile, kmsKey }: KeygenAnswer): string[] {
  const top =
    privateFile === undefined ? `public key of ${kmsKey}, kid ${kid}` : `new Ed25519 key pair, kid ${kid}`;
  return [
    top,
    privateFile === undefined
      ? `  ${kmsKey}  private key: stays in KMS; set kms:KEY-ID or kms:alias/NAME as signingKey in trigger-deploy.yaml`
      : `  ${privateFile}  private key: signs deployments; keep it on the machine that runs trigger-deploy, set it as signingKey in trigger-deploy.yaml`,
    `  ${publicFile}  public key: verifies deployments; copy it to every instance, list it in trust.keys of /etc/trigger-deploy/agent.yaml`,
  ];
}
