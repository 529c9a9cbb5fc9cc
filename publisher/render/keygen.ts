import type { KeygenAnswer } from '../commands/keygen.ts';

export function keygenLines({ kid, privateFile, publicFile }: KeygenAnswer): string[] {
  return [
    `a new Ed25519 pair, kid ${kid}`,
    `  ${privateFile}  private: signs; keep it where deployments are started, name it as signingKey in trigger-deploy.yaml`,
    `  ${publicFile}  public: verifies; copy it to every instance, name it in trust.keys of /etc/trigger-deploy/agent.yaml`,
  ];
}
