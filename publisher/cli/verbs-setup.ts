import * as z from 'zod';
import { SHELLS } from '../commands/completion.ts';
import type { RotateOptions } from '../commands/rotate-key.ts';
import type { Session } from '../session.ts';
import { argument, count, flag, service, text, value } from './option-kinds.ts';
import { type Answer, said, verb } from './verb.ts';

/** The verbs that set trigger-deploy up. Each loads its command when it runs. */

export const setupVerbs = {
  keygen: verb({
    usage: '',
    summary: 'Create a pair of signing keys, or rotate them',
    group: 'setup',
    options: {
      out: value(text.default('.'), 'The directory to write into (default: .)', { completes: 'directory' }),
      name: value(text.default('ci'), 'The files are NAME.key.json and NAME.pub.json (default: ci)'),
      kms: value(
        text.optional(),
        'Write the public key of this key of KMS: alias/NAME, a key id or an ARN (default: make a pair of files)',
      ),
      rotate: flag('Sign again what is in force, with the signing key, once all instances trust it'),
      check: flag('With --rotate: only show who trusts the key, and what another key signed'),
      to: value(
        text.optional(),
        'With --check: the public key file of a new key (default: the signing key)',
        {
          completes: 'file',
        },
      ),
      allowMissing: value(
        count.optional(),
        'With --rotate: how many instances may not say that they trust the key (default: 0)',
      ),
    },
    refuse: ({ kms, rotate, check, to, allowMissing }) => {
      if (rotate && kms !== undefined) return '--kms and --rotate cannot be combined';
      if (!rotate && check) return '--check needs --rotate';
      if (!rotate && allowMissing !== undefined) return '--allow-missing needs --rotate';
      return to !== undefined && !check ? '--to needs --rotate --check' : undefined;
    },
    examples: [
      ['$0 keygen --out ~/.config/trigger-deploy --name ci', 'ci.key.json and ci.pub.json'],
      ['$0 keygen --kms alias/trigger-deploy-prd --name prd --env prd', 'prd.pub.json, for the instances'],
      ['$0 keygen --rotate --check --to new.pub.json --env prd', 'whether all instances trust the new key'],
      ['$0 keygen --rotate --env prd', 'after signingKey was set to the new key'],
    ],
    alone({ out, name, kms, rotate }) {
      return kms === undefined && !rotate ? newKeys({ out, name }) : undefined;
    },
    async run(session, { out, name, kms = '', rotate, check, to, allowMissing = 0 }) {
      if (rotate) return await rotateKeys(session, { check, to, allowMissing });
      const [{ keygenKms }, { keygenLines }] = await Promise.all([
        import('../commands/keygen.ts'),
        import('../render/keygen.ts'),
      ]);
      const made = await keygenKms(session, { out, name, kms });
      return said({ type: 'keygen', ...made }, () => keygenLines(made));
    },
  }),

  doctor: verb({
    usage: '[service]',
    summary: 'Check an environment: permissions, topic, bucket, keys, instances, record',
    group: 'setup',
    options: {
      service: argument(service.optional(), 'The service (default: all services)'),
      repair: flag('Set locks right, and remove what dead publishers left (default: only say what is wrong)'),
    },
    examples: [
      ['$0 doctor --env dev', 'exit code 1 if anything is wrong'],
      ['$0 doctor payments --repair --env dev', 'after the bucket was changed by another writer'],
      ['$0 doctor --env prd --output json', 'one JSON object for each finding; its id stays the same'],
      ['$0 doctor --env prd --output lines', 'one line for each finding: what, state, id, text'],
    ],
    notes:
      'Exit code 0: nothing is wrong; 1: something is. What these credentials may not read is unknown, not wrong. trigger-deploy init sets topic and bucket right.',
    async run(session, { service, repair }) {
      const [{ doctor }, { doctorLines, doctorTable }] = await Promise.all([
        import('../commands/doctor.ts'),
        import('../render/doctor.ts'),
      ]);
      const found = await doctor(session, { service, repair });
      const { env, findings } = found;
      return {
        things: findings.map((one) => ({ type: 'finding', env, ...one })),
        table: (page) => doctorTable(found, page),
        lines: () => doctorLines(found),
        exitCode: findings.some(({ state }) => state === 'wrong') ? 1 : 0,
      };
    },
  }),

  completion: verb({
    usage: '<shell>',
    summary: 'Print a completion script for bash or zsh',
    group: 'setup',
    options: {
      shell: argument(z.enum(SHELLS, { error: `expected ${SHELLS.join(' or ')}` }), SHELLS.join(' or '), {
        completes: SHELLS,
      }),
    },
    examples: [
      ['source <($0 completion bash)', 'in ~/.bashrc; the .deb package installs it'],
      ['$0 completion zsh > ~/.zfunc/_trigger-deploy', 'in a directory of $fpath'],
    ],
    async alone({ shell }, { verbs }) {
      const [{ completion }, { completedCommands }] = await Promise.all([
        import('../commands/completion.ts'),
        import('./completed-commands.ts'),
      ]);
      const script = completion(shell, completedCommands(verbs));
      return said({ type: 'completion', shell, script }, () => [script.trimEnd()]);
    },
  }),
};

async function newKeys(options: { out: string; name: string }): Promise<Answer> {
  const [{ keygen }, { keygenLines }] = await Promise.all([
    import('../commands/keygen.ts'),
    import('../render/keygen.ts'),
  ]);
  const made = await keygen(options);
  return said({ type: 'keygen', ...made }, () => keygenLines(made));
}

async function rotateKeys(session: Session, options: RotateOptions): Promise<Answer> {
  const [{ isRotated, rotateKey }, { rotationLines }] = await Promise.all([
    import('../commands/rotate-key.ts'),
    import('../render/rotation.ts'),
  ]);
  const answer = await rotateKey(session, options);
  return { ...said(answer, () => rotationLines(answer)), exitCode: isRotated(answer) ? 0 : 1 };
}
