import * as z from 'zod';
import { isLinkTemplate, LINK_NAMES } from '../../shared/link-template.ts';
import { envName, serviceName } from '../../shared/names.ts';
import { PERMISSIONS } from '../console/permissions.ts';
import { expected, expectedMap, oneOf, text } from './expected.ts';

/** `console:` of trigger-deploy.yaml: the address of the console, who may use it, and what each person may do. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** https, or http on this machine; without a user, a password and a fragment. */
function isSafeAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, username, password, hash } = new URL(value);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  return isSafe && username === '' && password === '' && hash === '';
}

const address = (what: string) =>
  z.string({ error: expected(what) }).refine(isSafeAddress, { error: expected(what) });

const URL_FORM = 'the https address of the console, without a path, such as https://deploys.acme.com';
const url = address(URL_FORM)
  .refine((value) => new URL(value).pathname === '/' && new URL(value).search === '', {
    error: expected(URL_FORM),
  })
  .transform((value) => new URL(value).origin);

/** RFC 9110, section 5.6.2: a field name is a token. Node gives the names of headers in lower case. */
const header = text('the name of a header', /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/).transform((name) =>
  name.toLowerCase(),
);
const claim = text('the name of a claim', /^[\x21-\x7e]{1,200}$/);

/** Elastic Load Balancing API Reference, "LoadBalancer" (LoadBalancerArn). */
const loadBalancer = text(
  'the ARN of an Application Load Balancer',
  /^arn:aws(?:-cn|-us-gov)?:elasticloadbalancing:[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}:\d{12}:loadbalancer\/app\/[A-Za-z0-9-]{1,32}\/[0-9a-f]{1,32}$/,
);

const KEYS = 'the https address of the keys of load balancers';
const albTrust = z
  .strictObject(
    {
      alb: loadBalancer,
      issuer: text('the issuer in the rule of the load balancer'),
      client: text('the client id in the rule of the load balancer'),
      keys: address(KEYS).optional(),
    },
    { error: expectedMap('alb, issuer and client') },
  )
  .refine(({ alb, keys }) => keys !== undefined || !alb.startsWith('arn:aws-cn:'), {
    path: ['keys'],
    error: `expected ${KEYS}, which AWS does not document for aws-cn, found nothing`,
  });
const jwtTrust = z.strictObject(
  {
    jwt: z.strictObject(
      {
        header,
        jwks: address('the https address of the keys (JWKS)'),
        issuer: text('the issuer of the tokens'),
        audience: text('the audience of the tokens'),
      },
      { error: expectedMap('header, jwks, issuer and audience') },
    ),
  },
  { error: expectedMap('jwt') },
);
const headerTrust = z
  .strictObject(
    {
      header,
      groupsHeader: header.optional(),
      secretHeader: header,
      secretFile: text('the path of a file with the secret'),
    },
    { error: expectedMap('header, secretHeader and secretFile') },
  )
  .refine((one) => new Set([one.header, one.groupsHeader, one.secretHeader]).size === 3, {
    error: 'expected a different name for each header',
  });
const TRUST = 'alb, issuer and client; or jwt; or header, secretHeader and secretFile';
const trust = z.union([albTrust, jwtTrust, headerTrust], { error: expectedMap(TRUST) });

const WHO = 'an e-mail address, *@DOMAIN, group:NAME, or *';
const who = text(WHO, /^(?:\*|\*@[^\s@*:]+|group:\S(?:.*\S)?|(?!group:)[^\s@*]+@[^\s@*]+)$/);
const list = <T extends z.ZodType>(of: T, what: string) =>
  z.array(of, { error: expected(what) }).min(1, { error: expected(what) });
const rule = z.strictObject(
  {
    who,
    env: list(envName, 'a list of environments').optional(),
    service: list(serviceName, 'a list of services').optional(),
    may: list(oneOf(PERMISSIONS), `a list of ${PERMISSIONS.join(', ')}`),
  },
  { error: expectedMap('who, env, service and may') },
);
/** Each request is checked against all rules. */
const MOST_RULES = 1000;

const LINK = `an https address with ${LINK_NAMES.map((name) => `{${name}}`).join(', ')} only, behind the host`;
const link = z.string({ error: expected(LINK) }).refine(isLinkTemplate, { error: expected(LINK) });
const links = z.strictObject(
  { logs: link.optional(), builds: link.optional() },
  { error: expectedMap('logs and builds') },
);

export const consoleInFile = z
  .strictObject(
    {
      url: url.optional(),
      trust: trust.optional(),
      person: claim.optional(),
      groups: claim.optional(),
      allow: z
        .array(rule, { error: expected('a list of rules') })
        .max(MOST_RULES, { error: `expected at most ${MOST_RULES} rules` })
        .optional(),
      links: links.optional(),
      resume: z.boolean({ error: expected('true or false') }).optional(),
    },
    { error: expectedMap('url, trust, person, groups, allow, links and resume') },
  )
  .superRefine(({ url, trust, person, groups, allow }, context) => {
    const add = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (trust !== undefined && url === undefined) add('trust', 'expected url with trust, found none');
    if (trust === undefined) {
      const needless = Object.entries({ person, groups, allow }).find(([, value]) => value !== undefined);
      if (needless !== undefined) add(needless[0], `expected trust with ${needless[0]}, found none`);
    } else if ('header' in trust) {
      if (person !== undefined) add('person', 'expected no claim with trust.header, which is the person');
      if (groups !== undefined) add('groups', 'expected trust.groupsHeader, as trust.header has no claims');
    }
  });
export type ConsoleInFile = z.output<typeof consoleInFile>;
export type AllowRule = z.output<typeof rule>;
export type AlbTrust = z.output<typeof albTrust>;
export type JwtTrust = z.output<typeof jwtTrust>['jwt'];
export type HeaderTrust = z.output<typeof headerTrust>;

/** The keys of `console:`, to suggest one for a misspelt key. */
export const CONSOLE_KEYS: readonly string[] = [
  ...Object.keys(consoleInFile.shape),
  ...[albTrust, jwtTrust, jwtTrust.shape.jwt, headerTrust, rule, links].flatMap((one) =>
    Object.keys(one.shape),
  ),
];
