import { useComputed } from '@preact/signals';
import { useKeys } from '../shell/keys.ts';
import { closeAct, query } from '../shell/router.ts';
import { ActDialog } from './act-dialog.tsx';
import { type ActForm, formOf } from './act-form.ts';
import { ACT_KEYS } from './act-keys.ts';
import { Modal } from './modal.tsx';

/** The dialog that the address asks for: `?act=deploy&env=prd&service=payments`. Nothing without one. */
export function Act() {
  useKeys(ACT_KEYS);
  const asked = useComputed(() => formOf(query.value)).value;
  if (asked === undefined) return null;
  if ('wrong' in asked) return <Wrong text={asked.wrong} />;
  return <ActDialog key={keyOf(asked)} asked={asked} />;
}

/** What makes it another dialog. The rest of the address follows what the person fills in. */
const keyOf = ({ act, env, service, deployment }: ActForm) => [act, env, service, deployment].join(' ');

function Wrong({ text }: { text: string }) {
  return (
    <Modal title="This address cannot be read" onClose={closeAct}>
      <p>It {text}. Nothing was done. Ask the person who sent it for a new one.</p>
      <div class="buttons">
        <button type="button" onClick={closeAct}>
          Close
        </button>
      </div>
    </Modal>
  );
}
