// One recording: leaving out a part by its times, and erasing it after a look at what would go.

import { api, tell } from './forms.js';

const seconds = (text) => text.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.dataset.leaveOut) return;
  event.preventDefault();
  const known = JSON.parse(document.getElementById('spans').textContent);
  const [start, end, reason] = ['start', 'end', 'reason'].map((name) => form.elements[name].value.trim());
  const span = { start_s: seconds(start), end_s: seconds(end), reason, found_by: 'person' };
  attempt(form, async () => {
    await api('PATCH', form.dataset.leaveOut, { excluded_spans: [...known, span] });
    location.reload();
  });
});

const erase = document.getElementById('erase');
if (erase) {
  const [place, form] = [document.getElementById('would-go'), document.getElementById('erase-form')];

  erase.addEventListener('toggle', () => {
    if (!erase.open) return;
    form.hidden = true;
    place.replaceChildren('Looking what would go …');
    attempt(form, async () => {
      const found = await api('GET', `${erase.dataset.erase}/erasure`);
      place.replaceChildren(list(sentences(found)));
      form.hidden = found.in_the_way.length > 0;
    }, () => place.replaceChildren());
  });

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const reason = encodeURIComponent(form.elements.reason.value.trim());
    attempt(form, async () => {
      const job = await api('DELETE', `${erase.dataset.erase}?reason=${reason}`);
      location.href = `/jobs/${encodeURIComponent(job.id)}`;
    });
  });
}

function sentences(found) {
  const told = [`${count(found.going.length, 'object')} would go, ${count(Math.round(found.bytes / 1000), 'kB', 'kB')}.`];
  if (found.marked.length) told.push(`Made from it, and marked as such: ${found.marked.map(name).join(', ')}. Datasets lose its examples.`);
  if (found.held.length) told.push(`${count(found.held.length, 'file')} would stay, since something else has the same content.`);
  if (found.jobs.length) told.push(`${count(found.jobs.length, 'ended job')} would be forgotten.`);
  if (found.in_the_way.length) told.push(`Not now: ${found.in_the_way.map((job) => `${job.kind} ${job.id}`).join(', ')} still needs it. Wait for that, or stop it.`);
  return told;
}

const count = (many, one, several = `${one}s`) => `${many.toLocaleString('en')} ${many === 1 ? one : several}`;

// shows/s/episodes/e1/episode.json -> episodes/e1
const name = (key) => key.split('/').slice(2, 4).join('/').replace(/\.json$/, '');

function list(lines) {
  const made = document.createElement('ul');
  for (const line of lines) made.append(Object.assign(document.createElement('li'), { textContent: line }));
  return made;
}

async function attempt(form, work, failed = () => {}) {
  tell(form, '');
  try {
    await work();
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    failed();
    form.hidden = false;
    tell(form, problem.detail);
  }
}
