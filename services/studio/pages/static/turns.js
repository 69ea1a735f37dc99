// What can be done with each turn of a finished AI episode: hear it, see what it comes near to, change it, have it written
// again. A change is an order for another episode, and leads there.

import { api, tell } from './forms.js';
import { pageOf } from './follow.js';

const talk = document.getElementById('talk');
const { show, episode } = talk.dataset;
const sound = document.getElementById('audio');
const starts = spokenTurns();

document.addEventListener('click', (event) => {
  const seek = event.target.closest('[data-seek]');
  if (seek) return listen(Number(seek.dataset.seek));
  const opener = event.target.closest('button.tools');
  if (opener) toggle(opener);
});

function toggle(opener) {
  const turn = opener.closest('.utterance');
  const open = turn.querySelector('.turn-tools');
  opener.setAttribute('aria-expanded', String(!open));
  if (open) return open.remove();
  const tools = document.getElementById('tools').content.cloneNode(true).firstElementChild;
  const index = Number(turn.id.replace('turn-', ''));
  prepare(tools, turn, index);
  turn.append(tools);
  tools.querySelector('button:not([hidden])').focus();
}

function prepare(tools, turn, index) {
  const hear = tools.querySelector('[data-do=listen]');
  hear.hidden = !sound || starts[index] === undefined;
  hear.addEventListener('click', () => listen(starts[index]));
  tools.querySelector('[data-do=nearest]').addEventListener('click', (event) => showNearest(event.target, tools, index));
  const replace = tools.querySelector('[data-do=replace]');
  if (!replace) return;
  const text = replace.querySelector('textarea');
  text.value = turn.querySelector('.uttered').textContent;
  replace.addEventListener('submit', (event) =>
    order(event, { replace: [{ index, text: text.value }], rest: restOf(replace) }));
  const again = tools.querySelector('[data-do=regenerate]');
  const last = again.querySelector('input[type=number]');
  last.min = last.value = index;
  last.max = Number([...talk.querySelectorAll('.utterance')].at(-1).id.replace('turn-', ''));
  again.addEventListener('submit', (event) =>
    order(event, { regenerate: [index, Number(last.value)], rest: restOf(again) }));
}

const restOf = (form) => form.elements.rest.value;

async function order(event, change) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector('button');
  tell(form, '');
  button.disabled = true;
  try {
    const job = await api('POST', '/v1/episode-revisions', { show, episode, ...change });
    location.href = pageOf(job.links.turns);
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    tell(form, problem.detail);
    button.disabled = false;
  }
}

// ---- nearest passages

async function showNearest(button, tools, index) {
  const place = tools.querySelector('[data-nearest]');
  button.disabled = true;
  place.textContent = 'Looking through the training recordings…';
  try {
    const url = `/v1/shows/${encodeURIComponent(show)}/episodes/${encodeURIComponent(episode)}/turns/${index}/nearest`;
    const found = await api('GET', url);
    const list = made('ol', 'near');
    found.passages.forEach((passage) => list.append(near(passage)));
    place.replaceChildren(...(found.reason ? [made('p', 'quiet', found.reason)] : []), list);
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    place.textContent = problem.detail;
  } finally {
    button.disabled = false;
  }
}

function near(passage) {
  const item = made('li');
  const from = made('p', 'quiet');
  const link = made('a', '', passage.title || passage.recording);
  link.href = `/shows/${encodeURIComponent(show)}/recordings/${encodeURIComponent(passage.recording)}`;
  from.append(link, ` – ${passage.role === 'guest' ? passage.guest : 'the host'}, nearness ${passage.score.toFixed(1)} `);
  if (passage.has_audio && passage.start_s !== null) from.append(playButton(passage));
  item.append(made('p', 'uttered', passage.passage), from);
  return item;
}

function playButton(passage) {
  const button = made('button', 'plain play', 'Play it there');
  button.type = 'button';
  button.dataset.audio = `/v1/shows/${encodeURIComponent(show)}/recordings/${encodeURIComponent(passage.recording)}/audio`;
  button.dataset.from = passage.start_s;
  button.dataset.to = passage.end_s;
  button.setAttribute('aria-pressed', 'false');
  return button;
}

// ---- sound

function spokenTurns() {
  const told = document.getElementById('spoken');
  return told ? JSON.parse(told.textContent) : {};
}

function listen(seconds) {
  sound.currentTime = seconds;
  sound.play();
}

function made(name, classes = '', text = '') {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.textContent = text;
  return element;
}
