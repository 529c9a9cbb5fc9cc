import { text, value } from './option-kinds.ts';
import { said, verb } from './verb.ts';

/** The verbs that set trigger-deploy up. Each loads its command when it runs. */

export const setupVerbs = {
  keygen: verb({
    usage: '',
    summary: 'Make a pair of signing keys',
    group: 'setup',
    options: {
      out: value(text.default('.'), 'The directory to write into (default: .)', { completes: 'directory' }),
      name: value(text.default('ci'), 'The files are NAME.key.json and NAME.pub.json (default: ci)'),
    },
    examples: [['$0 keygen --out ~/.config/trigger-deploy --name ci', 'ci.key.json and ci.pub.json']],
    async alone({ out, name }) {
      const [{ keygen }, { keygenLines }] = await Promise.all([
        import('../commands/keygen.ts'),
        import('../render/keygen.ts'),
      ]);
      const made = await keygen({ out, name });
      return said({ type: 'keygen', ...made }, () => keygenLines(made));
    },
  }),
};
