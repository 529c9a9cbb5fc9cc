import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConsole } from '../../../../publisher/config/load-console.ts';
import type { TriggerDeployError } from '../../../../shared/errors.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'config-console-'));
});
afterEach(() => rm(cwd, { recursive: true }));

const ALB = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/deploys/50dc6c495c0c9188';
const URL = 'url: https://deploys.acme.com';
const TRUSTED = `${URL}, trust: { alb: "${ALB}", issuer: "https://acme.okta.com", client: 0oa1 }`;
const HEADER = 'header: X-User, secretHeader: X-Secret, secretFile: keys/secret';

async function load(text: string) {
  await writeFile(
    join(cwd, 'trigger-deploy.yaml'),
    `environments: { dev: { region: eu-west-1 }, prd: {} }\n${text}\n`,
  );
  return await loadConsole({ cwd, home: cwd, variables: {} });
}
const mistakeOf = async (text: string) =>
  await load(`console: ${text}`).then(
    () => 'accepted',
    (error: TriggerDeployError) => `${error.code} ${error.detail}`,
  );

describe('console:', () => {
  it('a file without it allows nobody anything, trusts no proxy, and resumes nothing', async () => {
    const nothing = { person: 'email', groups: 'groups', allow: [], links: {}, resume: false };
    expect(await load('')).toEqual(nothing);
    await rm(join(cwd, 'trigger-deploy.yaml'));
    expect(await loadConsole({ cwd, home: cwd, variables: {} })).toEqual(nothing);
  });

  it('the address is kept without its slash; headers in the case in which Node gives them; paths are absolute', async () => {
    expect(
      await load(`console: { url: "https://Deploys.acme.com/", resume: true, trust: { ${HEADER} } }`),
    ).toMatchObject({
      url: 'https://deploys.acme.com',
      trust: { header: 'x-user', secretHeader: 'x-secret', secretFile: join(cwd, 'keys/secret') },
      resume: true,
    });
  });

  it.each([
    `{ ${TRUSTED}, allow: [{ who: "*@acme.com", may: [look, pause] }, { who: "*", may: [look] }] }`,
    `{ ${TRUSTED}, allow: [{ who: "group:On call", env: [prd], service: [web], may: [jump] }] }`,
    `{ ${TRUSTED}, allow: [{ who: "ann@acme.com", may: [deploy] }] }`,
    `{ ${URL}, trust: { jwt: { header: Authorization, jwks: "http://127.0.0.1:9/keys", issuer: i, audience: a } } }`,
    '{ links: { logs: "https://g.acme.com/x?service={service}&from={since}#{env}", builds: "https://j/{version}/{deployment}" } }',
  ])('%s is accepted', async (text) => {
    expect(await mistakeOf(text)).toBe('accepted');
  });

  it('a load balancer in aws-cn needs the address of the keys, one in aws-us-gov does not', async () => {
    const keys = 'keys: "https://keys.acme.cn"';
    const inChina = TRUSTED.replace('arn:aws:', 'arn:aws-cn:').replace('client:', `${keys}, client:`);
    expect(await mistakeOf(`{ ${inChina} }`)).toBe('accepted');
    expect(await mistakeOf(`{ ${TRUSTED.replace('arn:aws:', 'arn:aws-us-gov:')} }`)).toBe('accepted');
  });

  it.each([
    ['{ uri: x }', 'console.uri: unknown key, did you mean "url"?'],
    ['{ url: "http://deploys.acme.com" }', 'console.url: expected the https address'],
    ['{ url: "https://deploys.acme.com/x" }', 'console.url: expected the https address'],
    ['{ url: "https://a:b@deploys.acme.com" }', 'console.url: expected the https address'],
    ['{ trust: { alb: x, issuer: i, client: c } }', 'console.trust.alb: expected the ARN'],
    [
      `{ ${TRUSTED.replace('arn:aws:', 'arn:aws-cn:')} }`,
      'console.trust.keys: expected the https address of the keys of load balancers, which AWS does not document for aws-cn',
    ],
    [`{ trust: { ${HEADER} } }`, 'console.trust: expected url with trust'],
    [
      `{ ${URL}, trust: { header: X-User } }`,
      'or header, secretHeader and secretFile, found {"header":"X-User"}',
    ],
    [`{ ${URL}, trust: {} }`, 'console.trust: expected alb, issuer and client; or jwt; or header'],
    [
      `{ ${URL}, trust: { jwt: { header: h, jwks: "http://idp/keys", issuer: i, audience: a } } }`,
      'console.trust.jwt.jwks: expected the https address',
    ],
    [
      `{ ${URL}, trust: { header: X-A, secretHeader: x-a, secretFile: f } }`,
      'expected a different name for each header',
    ],
    [`{ ${URL}, trust: { ${HEADER} }, person: email }`, 'console.person: expected no claim'],
    ['{ allow: [] }', 'console.allow: expected trust with allow'],
    [`{ ${TRUSTED}, allow: [{ who: "*@", may: [look] }] }`, 'console.allow.0.who: expected an e-mail'],
    [`{ ${TRUSTED}, allow: [{ who: "ann", may: [look] }] }`, 'console.allow.0.who: expected an e-mail'],
    [`{ ${TRUSTED}, allow: [{ who: "*", may: [push] }] }`, 'console.allow.0.may.0: expected look or'],
    [`{ ${TRUSTED}, allow: [{ who: "*", may: [] }] }`, 'console.allow.0.may: expected a list'],
    [
      `{ ${TRUSTED}, allow: [{ who: "*", env: [stg], may: [look] }] }`,
      'console.allow.0.env.0: expected one of',
    ],
    ['{ links: { logs: "javascript:alert(1)" } }', 'console.links.logs: expected an https address'],
    ['{ links: { logs: "https://{service}.acme.com/" } }', 'console.links.logs: expected an https address'],
    ['{ links: { logs: "https://a@{service}/" } }', 'console.links.logs: expected an https address'],
    ['{ links: { logs: "https://acme.com/{reason}" } }', 'console.links.logs: expected an https address'],
    ['{ links: { shell: "https://acme.com/" } }', 'console.links.shell: unknown key'],
  ])('%s is refused: %s', async (text, mistake) => {
    const told = await mistakeOf(text);
    expect(told).toContain('CONFIG_INVALID');
    expect(told).toContain(mistake);
  });
});
