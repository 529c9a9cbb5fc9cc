import type { KeygenAnswer } from '../commands/keygen.ts';

export function keygenLines({ kid, privateFile, publicFile }: KeygenAnswer): string[] {
  return [
    `new Ed25519 key pair, kid ${kid}`,
    `  ${privateFile}  private key: signs deployments; keep it on the machine that runs trigger-deploy, set it as signingKey in trigger-deploy.yaml`,
    `  ${publicFile}  public key: verifies deployments; copy it to every instance, list it in trust.keys of /etc/trigger-deploy/agent.yaml`,
  ];
}
