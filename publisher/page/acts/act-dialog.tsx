import { useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { pathOf } from '../../render/address.ts';
import { Foreign } from '../parts/foreign.tsx';
import { announce } from '../shell/announcer.tsx';
import { useKeys } from '../shell/keys.ts';
import { closeAct, go, isOpenedHere, query, setQuery } from '../shell/router.ts';
import { cells, config, deployment, environmentStates, service } from '../shell/state.ts';
import { argvOf, buttonText, lackOf, needsReason, titleOf, verbOf } from './act-command.ts';
import { Fields, Options, Reason } from './act-fields.tsx';
import { type ActForm, LONGEST_REASON, queryOf } from './act-form.ts';
import { PressResult } from './act-result.tsx';
import { Pressing } from './act-run.ts';
import { Situation } from './act-situation.tsx';
import { Waves } from './act-waves.tsx';
import {
  changesSince,
  decisionObstacles,
  isBehind,
  newestOf,
  personObstacles,
  prevents,
  type Seen,
  seenOf,
  type World,
  worldOf,
} from './act-world.ts';
import { CommandLine, copyShown } from './copy.tsx';
import { Modal } from './modal.tsx';

/** The address follows what is typed, after this time without a key, ms: browsers limit how often it may change. */
const ADDRESS_MS = 300;

const KEYS = [{ key: 'y', text: 'copy the command', run: copyShown }];

/** One opening of a dialog. Nothing in `asked` acts: only the press of its button does. */
export function ActDialog({ asked }: { asked: ActForm }) {
  useKeys(KEYS, { isDialog: true });
  const [typed, setForm] = useState(asked);
  // Once a person has changed the version, an empty one is empty.
  const [isChosen, setChosen] = useState(false);
  // Who opens a link must read before Enter presses the button.
  const [isFirst] = useState(isOpenedHere() && !(needsReason(asked) && asked.reason === ''));
  const [agreesEmpty, setAgreesEmpty] = useState(false);
  const pressing = useMemo(() => new Pressing(), []);
  const known = {
    cells: cells.value,
    environmentStates: environmentStates.value,
    service: service.value,
    deployment: deployment.value,
  };
  const world = worldOf(typed, known);
  const form = isChosen ? typed : withNewest(typed, world);
  const [seen, lookAgain] = useSeen(world, pressing);
  const filled = withDefaults(form, world);
  const press = pressing.press.value;
  useAddress(form);
  useSignalEffect(() => pressing.follow());
  useEffect(() => {
    if (press.state !== 'done') return;
    const { env, service: of } = form;
    if (press.deployment !== undefined && of !== undefined) {
      go(pathOf({ page: 'deployment', env, service: of, deployment: press.deployment }), { replace: true });
    } else if (press.exitCode === 0) {
      announce(press.lines.join(', ') || 'done');
      closeAct();
    }
  }, [press]);

  const changes = seen === undefined || world === undefined ? [] : changesSince(seen, world);
  const moved = seen !== undefined && world !== undefined && world.sequence !== seen.sequence;
  const obstacles = [
    ...(config.value === undefined ? [] : personObstacles(form, config.value)),
    ...decisionObstacles(form, world, config.value),
    ...(world?.obstacles ?? []),
  ];
  const lack = lackOf(filled);
  const argv = argvOf(filled, isBehind(form, world) ? undefined : seen?.sequence);
  const isBusy = press.state === 'busy' || press.state === 'waiting' || press.state === 'done';
  const isPossible = !isBusy && !moved && lack === undefined && !obstacles.some((one) => prevents(one, form));
  const change = (more: Partial<ActForm>) => {
    if (more.version !== undefined) setChosen(true);
    setForm({ ...form, ...more });
    pressing.reset();
  };

  return (
    <Modal title={titleOf(form)} onClose={closeAct}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isPossible) void pressing.send(argv, agreesEmpty);
        }}
      >
        <Fields form={filled} world={world} change={change} />
        <Situation form={form} world={world} obstacles={obstacles} change={change} />
        <Waves form={filled} />
        {verbOf(form) !== 'resume' && (
          <Reason form={form} isRequired={needsReason(form)} longest={LONGEST_REASON} change={change} />
        )}
        <Options form={form} change={change} />
        {world?.instances === 0 && verbOf(form) !== 'pause' && verbOf(form) !== 'unpause' && (
          <label class="line">
            <input
              type="checkbox"
              checked={agreesEmpty}
              onChange={(event) => setAgreesEmpty(event.currentTarget.checked)}
            />{' '}
            No instance is there yet: the version becomes the desired state, and nothing waits for
            confirmation
          </label>
        )}
        <CommandLine argv={argv} />
        <div role="status">
          {changes.length > 0 && (
            <p class="changed">
              <strong>Changed since you looked:</strong>{' '}
              {changes.map((text) => (
                <Foreign key={text} text={`${text}. `} />
              ))}
              {moved && (
                <button type="button" onClick={lookAgain}>
                  Look again
                </button>
              )}
            </p>
          )}
        </div>
        <PressResult press={press} lookAgain={lookAgain} form={form} />
        <div class="buttons">
          {lack !== undefined && !isBusy && <span class="lack">{lack}</span>}
          <button type="button" onClick={closeAct}>
            {press.state === 'waiting' || press.state === 'done' ? 'Close' : 'Cancel'}
          </button>
          <button
            type="submit"
            class={verbOf(form) === 'pause' || verbOf(form) === 'cancel' ? 'red' : 'primary'}
            disabled={!isPossible}
            aria-busy={isBusy}
            {...(isFirst ? { 'data-first': true } : {})}
          >
            {isBusy && press.state !== 'done' ? 'Working … ' : ''}
            <Foreign text={buttonText(filled, versionOf(filled, world), world?.instances)} />{' '}
            <span class="key" aria-hidden="true">
              ↵
            </span>
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** What the person saw when the dialog opened, or looked again. */
function useSeen(world: World | undefined, pressing: Pressing): [Seen | undefined, () => void] {
  const [seen, setSeen] = useState<Seen | undefined>(world && seenOf(world));
  useEffect(() => {
    if (seen === undefined && world !== undefined) setSeen(seenOf(world));
  }, [seen, world]);
  const lookAgain = () => {
    setSeen(world && seenOf(world));
    pressing.reset();
  };
  return [seen, lookAgain];
}

/** Keeps the address what the dialog says, so that it can be sent to somebody. */
function useAddress(form: ActForm): void {
  useEffect(() => {
    const timer = setTimeout(() => {
      // The address of a dialog that was closed is another one already, before the dialog is gone: it must not open again.
      if (query.peek().get('act') === form.act) setQuery(queryOf(form), { replace: true });
    }, ADDRESS_MS);
    return () => clearTimeout(timer);
  }, [form]);
}

/** A deployment without a version is one of the newest push. */
function withNewest(form: ActForm, world: World | undefined): ActForm {
  if (verbOf(form) !== 'deploy' || form.version !== '' || world === undefined) return form;
  return { ...form, version: newestOf(world) ?? '' };
}

/** The form with the version that is meant where none is chosen: what is shown is what is typed. */
function withDefaults(form: ActForm, world: World | undefined): ActForm {
  if (form.act === 'promote') {
    const { promote } = world ?? {};
    const requires = config.value?.environments.find(({ name }) => name === form.env)?.requires;
    const from = form.from ?? promote?.from ?? requires;
    const version = form.version || (promote !== undefined && promote.from === from ? promote.version : '');
    return { ...form, ...(from !== undefined && { from }), version };
  }
  if (form.act === 'rollback') return { ...form, version: form.version || (world?.rollbackTo ?? '') };
  return form;
}

const versionOf = (form: ActForm, world: World | undefined) =>
  form.act === 'restart' ? (world?.runs ?? '') : form.version;
