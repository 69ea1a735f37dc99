// A planned brief: its chapters can be changed, moved, added and removed; then it is sent as the order for the episode.

import { api, tell } from './forms.js';
import { pageOf } from './follow.js';

const brief = JSON.parse(document.getElementById('brief').textContent);
const form = document.getElementById('plan');
const list = document.getElementById('chapters');
const mayEdit = Boolean(form.querySelector('button'));

function add(chapter) {
  const item = document.getElementById('chapter').content.cloneNode(true).firstElementChild;
  field(item, 'title').value = chapter.title;
  field(item, 'beats').value = chapter.beats.join('\n');
  field(item, 'words').value = chapter.words ?? '';
  if (!mayEdit) item.querySelectorAll('input, textarea, button').forEach((one) => (one.disabled = true));
  list.append(item);
  return item;
}

const field = (item, name) => item.querySelector(`[data-field=${name}]`);

brief.plan.forEach(add);

list.addEventListener('click', (event) => {
  const button = event.target.closest('[data-move]');
  if (!button) return;
  const item = button.closest('li');
  if (button.dataset.move === '0') {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    (next ? field(next, 'title') : document.getElementById('add-chapter')).focus();
    return;
  }
  if (button.dataset.move === '-1') item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  button.focus();
});

document.getElementById('add-chapter')?.addEventListener('click', () => {
  field(add({ title: '', beats: [], words: null }), 'title').focus();
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  tell(form, '');
  if (!form.checkValidity()) return form.reportValidity();
  const plan = [...list.children].map((item) => ({
    title: field(item, 'title').value.trim(),
    beats: field(item, 'beats').value.split('\n').map((line) => line.trim()).filter(Boolean),
    words: field(item, 'words').value ? Number(field(item, 'words').value) : null,
  }));
  const buttons = form.querySelectorAll('button');
  buttons.forEach((button) => (button.disabled = true));
  try {
    const job = await api('POST', '/v1/episodes', { ...brief, plan, review_plan: false });
    location.href = pageOf(job.links.turns);
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    tell(form, problem.detail);
    buttons.forEach((button) => (button.disabled = false));
  }
});
