import * as z from 'zod';
import { SHELLS } from '../commands/completion.ts';
import { argument, flag, service, text, value } from './option-kinds.ts';
import { type Answer, said, verb } from './verb.ts';

/** The verbs that set trigger-deploy up. Each loads its command when it runs. */

export const setupVerbs = {
  keygen: verb({
    usage: '',
    summary: 'Create a pair of signing keys, or get the public key of a key of KMS',
    group: 'setup',
    options: {
      out: value(text.default('.'), 'The directory to write into (default: .)', { completes: 'directory' }),
      name: value(text.default('ci'), 'The files are NAME.key.json and NAME.pub.json (default: ci)'),
      kms: value(
        text.optional(),
        'Write the public key of this key of KMS: alias/NAME, a key id or an ARN (default: make a pair of files)',
      ),
    },
    examples: [
      ['$0 keygen --out ~/.config/trigger-deploy --name ci', 'ci.key.json and ci.pub.json'],
      ['$0 keygen --kms alias/trigger-deploy-prd --name prd --env prd', 'prd.pub.json, for the instances'],
    ],
    alone({ out, name, kms }) {
      return kms === undefined ? newKeys({ out, name }) : undefined;
    },
    async run(session, { out, name, kms = '' }) {
      const [{ keygenKms }, { keygenLines }] = await Promise.all([
        import('../commands/keygen.ts'),
        import('../render/keygen.ts'),
      ]);
      const made = await keygenKms(session, { out, name, kms });
      return said({ type: 'keygen', ...made }, () => keygenLines(made));
    },
  }),

  doctor: verb({
    usage: '<service>',
    summary: 'Check what the bucket and the instances say about a service',
    group: 'setup',
    options: {
      service: argument(service, 'The service'),
      repair: flag('Set a lock right that another writer changed (default: only say what is wrong)'),
    },
    examples: [
      ['$0 doctor payments --env dev', 'exit code 1 if anything is wrong'],
      ['$0 doctor payments --repair --env dev', 'after the bucket was changed by another writer'],
    ],
    async run(session, { service, repair }) {
      const [{ doctor }, { doctorLines, doctorTable }] = await Promise.all([
        import('../commands/doctor.ts'),
        import('../render/doctor.ts'),
      ]);
      const found = await doctor(session, { service, repair });
      const { env, findings } = found;
      return {
        things: findings.map((one) => ({ type: 'finding', env, service, ...one })),
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
