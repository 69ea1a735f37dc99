// An AI episode as it grows: each turn is put at the end as it is stored. It scrolls along only for who is at the end.

const NEAR_PX = 120;
const place = document.getElementById('turns');
const told = document.getElementById('told');
const count = document.getElementById('count');
let written = place.querySelectorAll('.utterance').length;
let chapter = place.dataset.chapter;

const source = new EventSource(`${place.dataset.events}?after=${place.dataset.after}`);

source.addEventListener('turn', (event) => {
  const turn = JSON.parse(event.data);
  if (document.getElementById(`turn-${turn.index}`)) return;
  const atEnd = place.getBoundingClientRect().bottom <= innerHeight + NEAR_PX;
  if (turn.chapter && turn.chapter !== chapter) place.append(made('h2', '', turn.chapter));
  chapter = turn.chapter;
  const box = made('article', `utterance by-${turn.role}`, '');
  box.id = `turn-${turn.index}`;
  box.append(made('p', `who ${turn.role}`, turn.speaker), made('p', 'uttered', turn.text));
  place.append(box);
  written += 1;
  count.textContent = written === 1 ? '1 turn' : `${written} turns`;
  if (atEnd) box.scrollIntoView({ block: 'end' });
});

source.addEventListener('end', (event) => {
  source.close();
  const episode = JSON.parse(event.data);
  const link = made('a', '', 'Read it with its report');
  link.href = location.pathname;
  say(`It is finished: ${episode.verdict}. `, link);
});

// A job that is done without an episode has made a plan, or a sheet of questions: the page shows it.
source.addEventListener('stopped', (event) => {
  source.close();
  const why = JSON.parse(event.data);
  if (why.state === 'done') location.reload();
  else say(why.error);
});

// Who comes back goes on after the last turn by itself; only a refusal ends it.
source.addEventListener('error', () => {
  if (source.readyState === EventSource.CLOSED) say('The turns do not come any more. Load the page again.');
});

addEventListener('pagehide', () => source.close());

function say(...parts) {
  told.replaceChildren(...parts);
  told.hidden = false;
}

function made(name, classes, text) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.textContent = text;
  return element;
}
