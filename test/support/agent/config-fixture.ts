import { expect } from 'vitest';
import { parseAgentConfig } from '../../../agent/config.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** A config with every setting of a jar service. */
export const EXAMPLE = `env: dev
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
trust:
  keys: [/etc/trigger-deploy/keys/ci.pub.json]     # JWK; several during a rotation
# instance: i-0abc…                                # from IMDSv2 when left out
# state: /var/lib/trigger-deploy
services:
  payments:
    package: { type: jar, dir: /opt/payments, keep: 3 }
    manager: { type: systemd, unit: payments.service, stopTimeout: 30s, startTimeout: 60s }
    checks:
      - http: { url: http://127.0.0.1:8080/health, status: 200, body: '"version":"{version}"', successes: 3, deadline: 60s }
    watch: 10s
    hooks:
      beforeStop: [{ run: [/usr/local/bin/drain, payments], timeout: 30s }]
`;

export const parse = (text: string) => parseAgentConfig(text, 'agent.yaml');

/** The example with one part replaced; a part that the example does not have is a mistake of the test. */
export function changed(place: string, into: string): string {
  expect(EXAMPLE).toContain(place);
  return EXAMPLE.replace(place, () => into);
}

/** The mistakes found in `text`, one per element. */
export function mistakes(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof TriggerDeployError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    return error.detail?.split('\n') ?? [];
  }
  throw new Error('it was accepted');
}

const CHECK_LINE = EXAMPLE.split('\n').find((line) => line.includes('- http')) ?? '';
export const checks = (yaml: string) => changed(CHECK_LINE, yaml);
export const manager = (yaml: string) => EXAMPLE.replace(/manager: .*/, () => `manager: ${yaml}`);
export const hook = (yaml: string) => EXAMPLE.replace(/beforeStop: .*/, () => `beforeStop: [${yaml}]`);
export const second = (name: string, dir: string) => `${EXAMPLE}  ${name}:
    package: { type: archive, dir: ${dir} }
    manager: { type: systemd, unit: ${name}.service }
`;
