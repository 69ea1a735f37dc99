// Find and replace over a show: a dry run lists the places, then everything is replaced, and can be taken back everywhere.

import { api, tell } from './forms.js';

const POLL_MS = 400;
const SHOWN = 50;

// whole: { isSaved(), refresh() } of the editor that this is a part of
export function listenToReplacing(form, facts, whole) {
  const at = (name) => form.querySelector(`#replace-${name}`);
  let batch = null;

  async function carryOut(path, body) {
    if (!whole.isSaved()) return tell(form, 'Your corrections are not saved yet; wait a moment, then repeat this.');
    tell(form, '');
    form.querySelectorAll('button').forEach((button) => (button.disabled = true));
    try {
      let job = await api('POST', path, body, { 'Idempotency-Key': crypto.getRandomValues(new Uint32Array(4)).join('-') });
      while (job.state === 'queued' || job.state === 'running') {
        at('told').textContent = job.progress ? `${job.progress.stage}: ${job.progress.done} of ${job.progress.total} …` : 'Waiting for its turn …';
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        job = await api('GET', `/v1/jobs/${encodeURIComponent(job.id)}`);
      }
      if (job.state === 'done') return job.result;
      at('told').textContent = '';
      return tell(form, job.problem?.detail ?? 'It was stopped.');
    } catch (problem) {
      if (problem.detail === undefined) throw problem;
      at('told').textContent = '';
      return tell(form, problem.detail);
    } finally {
      form.querySelectorAll('button').forEach((button) => (button.disabled = false));
    }
  }

  const wanted = (dry) => ({
    show: facts.show,
    find: form.elements.find.value.trim(),
    replace: form.elements.replace.value.trim(),
    match_case: form.elements.match_case.checked,
    recordings: form.elements.everywhere.checked ? [] : [facts.recording],
    dry_run: dry,
  });

  form.addEventListener('input', () => (at('now').hidden = true));

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const found = await carryOut('/v1/replacements', wanted(true));
    if (!found) return;
    at('told').textContent = found.found ? `Found in ${turns(found.found)} of ${recordings(found.recordings)}.` : 'Nobody says this.';
    at('places').replaceChildren(...found.places.slice(0, SHOWN).map(placeItem));
    if (found.found > SHOWN) at('places').append(Object.assign(document.createElement('li'), { textContent: `and ${found.found - SHOWN} more` }));
    at('now').hidden = !found.found;
    at('now').textContent = `Replace in ${turns(found.found)}`;
  });

  at('now').addEventListener('click', async () => {
    const done = await carryOut('/v1/replacements', wanted(false));
    if (!done) return;
    batch = done.batch;
    at('now').hidden = true;
    at('undo').hidden = false;
    at('places').replaceChildren();
    const left = done.conflicts.length ? ` ${recordings(done.conflicts.length)} that somebody changed meanwhile stayed as they were.` : '';
    at('told').textContent = `Replaced in ${turns(done.found)} of ${recordings(done.recordings)}.${left}`;
    await whole.refresh();
  });

  at('undo').addEventListener('click', async () => {
    const done = await carryOut('/v1/undone-batches', { show: facts.show, batch });
    if (!done) return;
    at('undo').hidden = true;
    at('told').textContent = [`Taken back in ${recordings(done.changed.length)}.`, ...done.left_alone].join(' ');
    await whole.refresh();
  });
}

const turns = (n) => `${n} ${n === 1 ? 'turn' : 'turns'}`;
const recordings = (n) => `${n} ${n === 1 ? 'recording' : 'recordings'}`;

function placeItem(place) {
  const item = document.createElement('li');
  const [before, after] = ['del', 'ins'].map((tag) => document.createElement(tag));
  before.textContent = place.before;
  after.textContent = place.after;
  item.append(before, ' ', after);
  return item;
}
