import { describe, expect, it } from 'vitest';
import { type Claims, personOfClaims } from '../../../../../publisher/console/people/person-claims.ts';

const of = { person: 'email', groups: 'groups', via: 'deploys.acme.com', iss: 'https://idp' };
const person = (claims: Claims, more: Partial<typeof of> = {}) => personOfClaims(claims, { ...of, ...more });
const ann = { sub: '00u1', email: 'ann@acme.com', groups: ['release'] };

describe('a person of verified claims', () => {
  it('has the name of the claim, the issuer and subject of the token, and their groups', () => {
    expect(person(ann)).toEqual({
      ...{ name: 'ann@acme.com', verified: { iss: 'https://idp', sub: '00u1' }, via: 'deploys.acme.com' },
      ...{ groups: ['release'], isMachine: false },
    });
  });

  it.each([
    ['no claim of the person', { sub: 's' }, 'unnamed s'],
    ['an address that is not verified', { ...ann, email_verified: false }, 'unnamed 00u1'],
    ['an address that is not verified, as a text', { ...ann, email_verified: 'false' }, 'unnamed 00u1'],
  ])('with %s may only look', (_, claims, name) => {
    expect(person(claims)).toMatchObject({ name, mayOnlyLook: true });
  });

  it('a verified address is one, as a text or not', () => {
    for (const email_verified of [true, 'true']) {
      expect(person({ ...ann, email_verified })?.mayOnlyLook).toBeUndefined();
    }
  });

  it.each([
    'ann@acme.com\u0000',
    'ann@acme.com\u202emoc',
    'ann@acme.com\nx',
    ' ann@acme.com',
    `${'a'.repeat(250)}@a.com`,
    '',
    17,
    ['ann@acme.com'],
  ])('a name that would have to be cleaned or cut is nobody: %j', (email) => {
    expect(person({ ...ann, email })).toBeUndefined();
  });

  it('groups stand in the claim, in a claim inside of claims, or are one text; what is no name is left out', () => {
    expect(person({ ...ann, groups: ['a', 7, 'b\u0007', null, 'c'.repeat(201), 'd'] })?.groups).toEqual([
      'a',
      'd',
    ]);
    expect(person({ ...ann, groups: 'a,b' })?.groups).toEqual(['a,b']);
    expect(person({ ...ann, custom: { groups: ['x'] } }, { groups: 'custom.groups' })?.groups).toEqual(['x']);
    expect(person({ ...ann, 'https://a.com/g': ['x'] }, { groups: 'https://a.com/g' })?.groups).toEqual([
      'x',
    ]);
    expect(person(ann, { groups: '__proto__.x' })?.groups).toEqual([]);
    expect(person({ ...ann, groups: Array.from({ length: 5000 }, (_, i) => `g${i}`) })?.groups).toHaveLength(
      1000,
    );
  });

  it.each([
    ['Microsoft', { ...ann, idtyp: 'app' }],
    ['Auth0', { ...ann, gty: 'client-credentials' }],
    ['Okta', { ...ann, cid: '00u1' }],
    ['an access token for the client itself', { ...ann, client_id: '00u1' }],
    ['Keycloak', { ...ann, preferred_username: 'service-account-ci' }],
    ['Google', { sub: 'accounts.google.com:1', email: 'ci@p.iam.gserviceaccount.com' }],
    ['Cloudflare', { type: 'app', common_name: 'e36.access', sub: '' }],
  ])('the token of a program of %s is one', (_, claims) => {
    expect(person(claims)?.isMachine).toBe(true);
  });

  it('what a person of Microsoft, Okta and Cloudflare has does not make them a program', () => {
    expect(person({ ...ann, appid: 'app-1', azp: 'app-1', idtyp: 'user' })?.isMachine).toBe(false);
    expect(person({ ...ann, cid: 'app-1', uid: '00u1' })?.isMachine).toBe(false);
    expect(person({ ...ann, type: 'app', country: 'DE' })?.isMachine).toBe(false);
  });
});
