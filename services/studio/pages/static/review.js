// The editor of a transcript: keys and buttons become edits, which are shown at once, kept, and sent in order.

import { Player } from './review-player.js';
import { edited, isDoubtful, isLeftOut, nextDoubtful, otherSpeaker, queueOf, startOf, textOf, unpacked } from './review-model.js';
import { listenToReplacing } from './review-replacing.js';
import { Saving } from './review-saving.js';
import { SpeakersTable } from './review-speakers.js';

const CONTEXT_S = 2;
const BY_ITSELF = 'diary.review.by-itself';
const LETTERS = 'diary.review.letters';

const facts = JSON.parse(document.getElementById('facts').textContent);
const at = (id) => document.getElementById(id);
const list = at('turns');
const shownTurns = new Map(); // id -> { element, turn, words: [span] }

let fetched = null; // what studio told last
let made = []; // steps that studio has carried out since
let talk = null; // what is shown: fetched, with what was made since and what is on its way
let current = null; // id of a turn
let place = null; // of the last doubtful turn in the queue
let chosen = new Set();
let anchor = null; // where choosing several began
let cut = null; // word that is chosen in the current turn
let visited = [];
let lit = null; // word that sounds
let hint = '';

// ---- what is there -------------------------------------------------------------------------------------------------

async function fetchTurns() {
  const since = fetched ? `?since=${encodeURIComponent(fetched.revision)}` : '';
  const answer = await fetch(facts.turns + since);
  if (answer.status === 401 || answer.redirected) return location.reload();
  if (!answer.ok) throw { status: answer.status, detail: `The transcript cannot be read: the answer was ${answer.status}.` };
  return unpacked(await answer.json(), fetched);
}

async function refresh() {
  const steps = saving.steps.length;
  try {
    const found = await fetchTurns();
    if (saving.steps.length !== steps) return; // somebody went on typing: later
    fetched = found;
    made = [];
    if (!steps) saving.rebase(fetched.revision);
    show();
  } catch (problem) {
    if (problem.detail === undefined && !(problem instanceof TypeError)) throw problem;
    trouble(problem.detail ?? 'Studio does not answer; what you see may be older than what is stored.');
  }
}

function show() {
  const known = saving.base === fetched.revision || made.length ? saving.steps : [];
  talk = [...made, ...known].reduce((now, step) => foreseen(now, step), fetched);
  draw();
}

// A step that was kept may speak of turns that are not there any more: studio says so when it is sent.
function foreseen(now, step) {
  const names = step.edits.flatMap((edit) => edit.turns ?? (edit.turn ? [edit.turn] : []));
  return names.every((id) => now.turns.has(id)) ? edited(now, step.edits, facts.person) : now;
}

const saving = new Saving(facts.corrections, `diary.review/${facts.person}/${facts.show}/${facts.recording}`, {
  changed: () => fetched && tellState(),
  async saved(step, answer) {
    made.push(step);
    if (step.edits[0].kind === 'undo') hint = `Back: ${answer.summary}.`;
    if (step.edits[0].kind === 'undo' || !saving.steps.length) await refresh();
  },
  async refused(step, problem) {
    trouble(`Not done: ${problem.detail}`);
    await refresh();
    show();
  },
});

// ---- drawing -------------------------------------------------------------------------------------------------------

function element(tag, name, text, more = {}) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, more);
}

const clock = (s) => {
  const whole = Math.floor(s);
  const rest = `${Math.floor(whole / 60) % 60}:${String(whole % 60).padStart(2, '0')}`;
  return whole < 3600 ? rest : `${Math.floor(whole / 3600)}:${rest.padStart(5, '0')}`;
};
const counted = (n, one) => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;
const speakerOf = (label) => talk.speakers.find((one) => one.label === label) ?? { label, name: null, role: 'unknown' };
const nameOf = (one) => one.name || `${one.label}, ${one.role}`;
const numberOf = (label) => talk.speakers.findIndex((one) => one.label === label) + 1;

let drawnSpeakers = null;
let drawnLeftOut = null;

function draw() {
  const allHeads = drawnSpeakers !== talk.speakers || drawnLeftOut !== talk.left_out;
  [drawnSpeakers, drawnLeftOut] = [talk.speakers, talk.left_out];
  for (const [id, drawn] of shownTurns) {
    if (talk.turns.has(id)) continue;
    drawn.element.remove();
    shownTurns.delete(id);
    chosen.delete(id);
  }
  let before = list.firstChild;
  for (const id of talk.order) {
    const turn = talk.turns.get(id);
    const drawn = drawTurn(turn, allHeads);
    if (drawn === before) before = before.nextSibling;
    else list.insertBefore(drawn, before);
  }
  if (!talk.turns.has(current)) current = null;
  if (allHeads) table?.draw(talk);
  mark();
  tellState();
}

function drawTurn(turn, headToo) {
  let drawn = shownTurns.get(turn.id);
  if (!drawn) {
    drawn = { element: element('li', 'turn', undefined, { id: `turn-${turn.id}`, tabIndex: -1 }), words: [] };
    drawn.element.append(element('div', 'turnhead'), element('p', 'said'));
    shownTurns.set(turn.id, drawn);
  }
  if (drawn.turn !== turn) drawWords(drawn, turn);
  if (drawn.turn !== turn || headToo) drawHead(drawn, turn);
  drawn.turn = turn;
  return drawn.element;
}

function drawWords(drawn, turn) {
  if (drawn.turn?.words === turn.words && drawn.turn.times === turn.times) return;
  drawn.words = turn.words.map((word) => element('span', '', word));
  drawn.element.querySelector('.said').replaceChildren(...drawn.words.flatMap((word) => [word, ' ']));
}

function drawHead(drawn, turn) {
  const speaker = speakerOf(turn.speaker);
  const head = drawn.element.querySelector('.turnhead');
  const parts = [];
  if (facts.may_edit) {
    const box = element('input', '', undefined, { type: 'checkbox', checked: chosen.has(turn.id), tabIndex: -1 });
    box.setAttribute('aria-label', `Choose the turn at ${clock(turn.start_s)}`);
    parts.push(box);
  }
  parts.push(element('span', `speaker of${Math.min(numberOf(turn.speaker), 4)} ${speaker.role}`, `${numberOf(turn.speaker)} ${nameOf(speaker)}`));
  parts.push(element('span', 'quiet', clock(turn.start_s)));
  if (isDoubtful(turn)) parts.push(element('span', 'state look', turn.reasons.join(', ') || 'doubtful'));
  else if (turn.settled_by) parts.push(element('span', 'quiet', `✓ ${turn.settled_by}`));
  if (isLeftOut(talk, turn)) parts.push(element('span', 'state', 'left out of training'));
  head.replaceChildren(...parts);
  Object.assign(drawn.element.dataset, { speaker: turn.speaker, startS: turn.start_s, endS: turn.end_s });
  drawn.element.classList.toggle('doubtful', isDoubtful(turn));
  drawn.element.classList.toggle('leftout', isLeftOut(talk, turn));
}

let marked = null;

function mark() {
  shownTurns.get(marked)?.element.removeAttribute('aria-current');
  marked = current;
  const drawn = shownTurns.get(current);
  drawn?.element.setAttribute('aria-current', 'true');
  list.querySelectorAll('.chosen, .cut').forEach((one) => one.classList.remove('chosen', 'cut'));
  for (const id of chosen) shownTurns.get(id)?.element.classList.add('chosen');
  for (const box of list.querySelectorAll('.turnhead input:checked, .chosen .turnhead input')) box.checked = chosen.has(box.closest('li').id.slice(5));
  if (drawn && cut !== null) drawn.words[cut]?.classList.add('cut');
  drawChoices();
  player?.mark(talk.turns.get(current), talk.left_out);
}

const WORDS = { saved: 'saved', saving: 'saving …', failing: 'not saved', conflict: 'not saved: somebody else changed it' };

function tellState() {
  const left = queueOf(talk).length;
  const judged = talk.state === 'approved' ? `approved by ${talk.judged_by}` : `${counted(left, 'doubtful turn')} left`;
  const line = at('state');
  const on = saving.steps.length;
  const saved = facts.may_edit ? `, ${WORDS[saving.state]}${saving.state === 'failing' ? ` (${counted(on, 'correction')} kept in this browser; trying again in ${saving.wait_s} s)` : ''}` : '';
  const words = `${judged}${saved}.${hint ? ` ${hint}` : ''}`;
  if (line.textContent !== words) line.textContent = words; // it is read aloud
  line.dataset.saved = saving.state;
  line.dataset.doubtful = left;
  line.classList.toggle('unsaved', saving.state === 'failing' || saving.state === 'conflict');
  if (!saving.keeps) trouble('This browser keeps nothing of a page: do not leave it before all is saved.');
  tellConflict();
}

function trouble(text) {
  at('trouble').textContent = text;
  at('trouble').hidden = !text;
}

function tellConflict() {
  const panel = at('conflict');
  if (saving.state !== 'conflict') return (panel.hidden = true);
  if (!panel.hidden) return undefined;
  const problem = saving.problem;
  const changes = problem.changes ?? [];
  const told = changes.length ? `What you see is older than what ${changes.at(-1).by} made of it.` : `${problem.detail}.`;
  at('conflict-told').textContent = `${told} ${counted(saving.steps.length, 'correction')} of yours ${saving.steps.length === 1 ? 'waits' : 'wait'}; choose what becomes of ${saving.steps.length === 1 ? 'it' : 'them'}.`;
  at('conflict-changes').replaceChildren(
    ...changes.map((one) => element('li', '', `${one.by}, ${new Date(one.at).toLocaleTimeString()}: ${one.summary}`)),
  );
  panel.hidden = false;
  panel.focus();
  return undefined;
}

// ---- going about ---------------------------------------------------------------------------------------------------

function goTo(id, { listen = false, remember = true } = {}) {
  if (!talk.turns.has(id)) return;
  if (remember && current && current !== id) visited.push(current);
  current = id;
  cut = null;
  const turn = talk.turns.get(id);
  if (isDoubtful(turn)) place = turn;
  mark();
  const { element: drawn } = shownTurns.get(id);
  drawn.focus({ preventScroll: true });
  const bar = document.querySelector('.reviewbar').getBoundingClientRect().bottom;
  const box = drawn.getBoundingClientRect();
  if (box.top < bar + 8 || box.bottom > innerHeight - 8) drawn.scrollIntoView({ block: 'center' });
  if (listen && at('by-itself')?.checked) listenTo(turn);
  else player?.stop();
}

function goOn() {
  const next = nextDoubtful(talk, place);
  if (!next) {
    hint = 'Nothing is doubtful any more: press a to approve.';
    player?.stop();
    return tellState();
  }
  hint = '';
  tellState();
  return goTo(next.id, { listen: true });
}

function goBack() {
  while (visited.length) {
    const id = visited.pop();
    if (talk.turns.has(id)) return goTo(id, { listen: true, remember: false });
  }
  return undefined;
}

function step(by, choose) {
  const index = talk.order.indexOf(current);
  const id = talk.order[Math.min(talk.order.length - 1, Math.max(0, index + by))];
  if (choose) {
    anchor ??= current ?? id;
    const [first, last] = [talk.order.indexOf(anchor), talk.order.indexOf(id)].sort((a, b) => a - b);
    chosen = new Set(talk.order.slice(first, last + 1));
  } else {
    chooseNothing();
  }
  goTo(id);
}

function chooseNothing() {
  chosen = new Set();
  anchor = null;
}

const targets = () => (chosen.size ? talk.order.filter((id) => chosen.has(id)) : current ? [current] : []).map((id) => talk.turns.get(id));

// ---- listening -----------------------------------------------------------------------------------------------------

const player = at('audio')
  ? new Player(at('audio'), facts.audio, { onTime: light, onProblem: trouble })
  : null;

function listenTo(turn) {
  player?.play(turn.start_s - CONTEXT_S, turn.end_s + CONTEXT_S);
}

function playOrStop() {
  if (!player) return;
  if (player.isPlaying) player.stop();
  else if (current) listenTo(talk.turns.get(current));
}

// The word that sounds lights up.
function light(now_s) {
  if (!talk) return;
  at('clock').textContent = clock(now_s);
  at('listened').textContent = `of ${clock(talk.duration_s)}, ${clock(player.listened_s)} listened to`;
  const word = soundingWord(now_s);
  const span = word && shownTurns.get(word.id)?.words[word.index];
  if (span === lit) return;
  lit?.classList.remove('sounds');
  lit = span;
  lit?.classList.add('sounds');
}

function soundingWord(now_s) {
  const id = last(talk.order, (one) => talk.turns.get(one).start_s <= now_s + 0.02);
  if (id === undefined) return null;
  const turn = talk.turns.get(id);
  let index = turn.words.length - 1;
  while (index > 0 && startOf(turn, index) > now_s + 0.02) index -= 1;
  return { id, index };
}

function last(sorted, holds) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle])) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}

// ---- correcting ----------------------------------------------------------------------------------------------------

// then: whether to go on to the next doubtful turn
function act(edits, then = false) {
  if (!facts.may_edit || !edits.length) return;
  trouble('');
  hint = '';
  saving.add({ edits, turn: current });
  chooseNothing();
  show();
  if (then) goOn();
}

const ids = (turns) => turns.map((turn) => turn.id);

function settle() {
  const open = targets().filter(isDoubtful);
  if (open.length) return act([{ kind: 'settle', turns: ids(open) }], true);
  chooseNothing();
  return goOn();
}

function give(to) {
  const turns = targets();
  if (!turns.length) return;
  const moved = turns.filter((turn) => turn.speaker !== to || isDoubtful(turn));
  if (!moved.length) return settle();
  act([{ kind: 'reassign', turns: ids(moved), to }], true);
}

function giveToNumber(number) {
  const speaker = talk.speakers[number - 1];
  if (speaker) return give(speaker.label);
  trouble(`There is no speaker ${number} here; press 0 for a new one.`);
}

function swap() {
  const by = new Map();
  for (const turn of targets()) {
    const to = otherSpeaker(talk, turn);
    by.set(to, [...(by.get(to) ?? []), turn.id]);
  }
  act([...by].map(([to, turns]) => ({ kind: 'reassign', turns, to })), true);
}

function merge() {
  const [turn] = targets();
  const index = talk.order.indexOf(turn?.id);
  if (index < 1) return trouble('There is no turn before this one to merge it with.');
  const before = talk.order[index - 1];
  act([{ kind: 'join', turn: turn.id }]);
  goTo(before, { remember: false });
}

function split() {
  const turn = talk.turns.get(current);
  if (!turn) return;
  const sounding = player?.isPlaying ? soundingWord(player.audio.currentTime) : null;
  const word = cut ?? (sounding?.id === current ? sounding.index : null);
  if (!word) return trouble('Choose the word before which to split: with → and ←, or press x when it sounds. The first word is none.');
  player?.stop();
  act([{ kind: 'split', turn: turn.id, before_word: word }]);
  goTo(talk.order[talk.order.indexOf(turn.id) + 1]);
}

function chooseWord(by) {
  const turn = talk.turns.get(current);
  if (!turn || turn.words.length < 2) return;
  cut = Math.min(turn.words.length - 1, Math.max(1, (cut ?? 0) + by));
  mark();
}

function leaveOut() {
  const turns = targets();
  if (!turns.length) return;
  const reason = at('reason')?.value ?? 'other';
  const open = turns.filter(isDoubtful);
  const edits = runsOf(turns).map(([first, final]) => ({ kind: 'exclude', start_s: first.start_s, end_s: final.end_s, reason }));
  act([...edits, ...(open.length ? [{ kind: 'settle', turns: ids(open) }] : [])], true);
}

function takeIn() {
  const turns = targets().filter((turn) => talk.left_out.some((span) => span.own && span.start_s < turn.end_s && span.end_s > turn.start_s));
  if (!turns.length) return trouble('Nobody left this turn out here; spans of the recording itself are changed on its own page.');
  act(runsOf(turns).map(([first, final]) => ({ kind: 'include', start_s: first.start_s, end_s: final.end_s })));
}

// Turns that follow each other, as [first, last] of each run.
function runsOf(turns) {
  const runs = [];
  for (const turn of turns) {
    const run = runs.at(-1);
    if (run && talk.order.indexOf(turn.id) === talk.order.indexOf(run[1].id) + 1) run[1] = turn;
    else runs.push([turn, turn]);
  }
  return runs;
}

function editText() {
  const turn = talk.turns.get(current);
  if (!turn) return;
  const wasDoubtful = isDoubtful(turn);
  const { element: drawn } = shownTurns.get(current);
  const field = element('textarea', '', undefined, { value: textOf(turn), rows: Math.min(12, 2 + Math.ceil(turn.words.length / 14)) });
  field.setAttribute('aria-label', 'What is said in this turn; enter saves, escape leaves it as it was');
  const said = drawn.querySelector('.said');
  said.hidden = true;
  said.after(field);
  field.focus();
  let isOver = false; // to take the field away takes the focus from it, which is another end
  const end = (save) => {
    if (isOver) return;
    isOver = true;
    const text = field.value.trim();
    field.remove();
    said.hidden = false;
    drawn.focus({ preventScroll: true });
    if (save && !text) trouble('A turn cannot be without words; to leave it out of training, press d.');
    else if (save && text !== textOf(turn)) act([{ kind: 'text', turn: turn.id, text }], wasDoubtful);
  };
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' || (event.key === 'Enter' && !event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
      end(event.key === 'Enter');
    }
  });
  field.addEventListener('blur', () => end(true));
}

function rename() {
  const turn = talk.turns.get(current);
  if (!turn) return;
  const speaker = speakerOf(turn.speaker);
  at('naming-title').textContent = `Name ${speaker.label}, as in all of this recording`;
  const field = at('naming').querySelector('input');
  field.value = speaker.name ?? '';
  ask(at('naming'), (said) => {
    const name = field.value.trim();
    if (said === 'save' && name && name !== speaker.name) act([{ kind: 'rename', speaker: speaker.label, name }]);
  });
}

function undo() {
  if (!saving.takeBack()) saving.add({ edits: [{ kind: 'undo' }], turn: current });
  else show();
}

function approve() {
  if (talk.state === 'approved') return trouble('It is approved already.');
  const left = queueOf(talk).length;
  const judge = () => act([{ kind: 'judge', state: 'approved' }]);
  if (!left) return judge();
  at('approving-told').textContent = `${counted(left, 'turn')} in it ${left === 1 ? 'is' : 'are'} still doubtful. You answer for ${left === 1 ? 'it' : 'them'} as ${left === 1 ? 'it is' : 'they are'}.`;
  return ask(at('approving'), (said) => said === 'approve' && judge());
}

function ask(dialog, answered) {
  dialog.returnValue = '';
  dialog.showModal();
  dialog.onclose = () => {
    if (dialog.open) return; // told late: it was the end of the asking before this one
    dialog.onclose = null;
    shownTurns.get(current)?.element.focus({ preventScroll: true });
    answered(dialog.returnValue);
  };
}

async function takeTheirs() {
  saving.drop();
  await refresh();
  goTo(current);
}

async function mineOnTop() {
  fetched = await fetchTurns();
  made = [];
  saving.rebase(fetched.revision);
  show();
  goTo(current);
  saving.again();
}

// ---- keys and buttons ----------------------------------------------------------------------------------------------

const DO = {
  play: playOrStop,
  next: goOn,
  previous: goBack,
  settle, swap, merge, split, undo, approve, rename,
  text: editText,
  'leave-out': leaveOut,
  'take-in': takeIn,
  nothing: () => { chooseNothing(); mark(); },
  keys: () => at('keys').showModal(),
  closer: () => player?.magnify(2),
  wider: () => player?.magnify(0.5),
  'take-theirs': takeTheirs,
  'mine-on-top': mineOnTop,
  new: () => give('new'),
};
const KEYS = {
  ' ': 'play', n: 'next', p: 'previous', Enter: 'settle', s: 'swap', m: 'merge', x: 'split', u: 'undo', a: 'approve', r: 'rename',
  e: 'text', d: 'leave-out', Delete: 'leave-out', i: 'take-in', Escape: 'nothing', '?': 'keys', 0: 'new', '+': 'closer', '-': 'wider',
};
const MOVES = {
  ArrowDown: (event) => step(1, event.shiftKey),
  ArrowUp: (event) => step(-1, event.shiftKey),
  ArrowRight: () => facts.may_edit && chooseWord(1),
  ArrowLeft: () => facts.may_edit && chooseWord(-1),
  l: () => at('by-itself')?.click(),
};

document.addEventListener('keydown', (event) => {
  if (!talk || event.altKey || event.metaKey) return;
  const { target } = event;
  const isBox = target.matches('.turnhead input');
  if (target.closest('dialog, textarea, select, form, #speakers') || (target.matches('input') && !isBox)) return;
  if (event.key === 'z' && event.ctrlKey) return press(event, DO.undo);
  if (event.ctrlKey) return;
  const isControl = target.closest('button, a, summary, input');
  if (isControl && (event.key === 'Enter' || event.key === ' ')) return;
  if (!at('letters').checked && /^[a-z0-9?]$/i.test(event.key)) return; // who speaks to the machine may not want them
  if (MOVES[event.key]) return press(event, () => MOVES[event.key](event));
  if (/^[1-9]$/.test(event.key)) return press(event, () => giveToNumber(Number(event.key)));
  if (KEYS[event.key]) return press(event, DO[KEYS[event.key]]);
});

function press(event, does) {
  event.preventDefault();
  does();
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button || !talk) return;
  if (button.dataset.to) give(button.dataset.to);
  else DO[button.dataset.do]();
  if (current && !document.querySelector('dialog[open], textarea')) shownTurns.get(current)?.element.focus({ preventScroll: true });
});

list.addEventListener('click', (event) => {
  const turn = event.target.closest('li');
  if (!turn) return;
  const id = turn.id.slice(5);
  if (event.target.matches('.turnhead input')) {
    if (event.target.checked) chosen.add(id);
    else chosen.delete(id);
    anchor = id;
    return goTo(id);
  }
  if (event.target.closest('textarea')) return;
  if (!chosen.has(id)) chooseNothing();
  goTo(id);
  const word = shownTurns.get(id).words.indexOf(event.target);
  if (word < 0) return;
  cut = word || null;
  mark();
  player?.play(startOf(talk.turns.get(id), word));
});

let drawnChoices = '';

function drawChoices() {
  const bar = at('choices');
  if (!bar) return;
  const many = chosen.size;
  const wanted = JSON.stringify([many, talk.speakers.map((one) => [one.label, nameOf(one)])]);
  if (wanted === drawnChoices) return;
  drawnChoices = wanted;
  const reason = at('reason')?.value ?? 'other';
  const button = (does, text, key, more = {}) => {
    const made = element('button', 'plain', `${text} `, { type: 'button' });
    Object.assign(made.dataset, { do: does, ...more });
    if (key) made.append(element('kbd', '', key));
    return made;
  };
  const select = element('select', '', undefined, { id: 'reason' });
  select.setAttribute('aria-label', 'Why it is left out');
  for (const one of ['other', 'advert', 'trailer', 'intro', 'outro']) select.append(element('option', '', one));
  select.value = reason;
  bar.replaceChildren(
    element('strong', '', many ? `${counted(many, 'turn')} chosen:` : 'This turn:'),
    button('settle', 'right as it is', 'enter'), button('swap', 'swap', 's'),
    ...talk.speakers.slice(0, 9).map((one, n) => button('give', nameOf(one), String(n + 1), { to: one.label })),
    button('new', 'new speaker', '0'),
    ...(many ? [] : [button('merge', 'merge up', 'm'), button('split', 'split', 'x'), button('text', 'text', 'e'), button('rename', 'rename', 'r')]),
    button('leave-out', 'leave out', 'd'), select, button('take-in', 'take in', 'i'),
    ...(many ? [button('nothing', 'choose nothing', 'esc')] : []),
  );
}

// ---- begin ---------------------------------------------------------------------------------------------------------

const table = at('speakers') ? new SpeakersTable(at('speakers'), facts.roles, (edits) => act(edits)) : null;
if (at('replace')) {
  listenToReplacing(at('replace'), facts, { isSaved: () => saving.state === 'saved', refresh });
}

function rememberSwitches() {
  const letters = at('letters');
  letters.checked = localStorage.getItem(LETTERS) !== 'no';
  letters.addEventListener('change', () => localStorage.setItem(LETTERS, letters.checked ? 'yes' : 'no'));
  const box = at('by-itself');
  if (!box) return;
  box.checked = localStorage.getItem(BY_ITSELF) !== 'no';
  box.addEventListener('change', () => {
    localStorage.setItem(BY_ITSELF, box.checked ? 'yes' : 'no');
    if (!box.checked) player.stop();
  });
  at('speed').addEventListener('change', (event) => {
    const rate = Number(event.target.value);
    Object.assign(player.audio, { defaultPlaybackRate: rate, playbackRate: rate });
  });
}

async function begin() {
  rememberSwitches();
  const waveform = player && facts.peaks ? fetch(facts.peaks).catch(() => null) : null; // meanwhile
  try {
    fetched = await fetchTurns();
  } catch (problem) {
    at('state').textContent = problem.detail ?? 'Studio does not answer. Load the page again.';
    if (problem.detail === undefined && !(problem instanceof TypeError)) throw problem;
    return;
  }
  talk = fetched;
  const found = saving.begin(fetched.revision);
  if (found) hint = `${counted(found, 'correction')} that this browser had kept ${found === 1 ? 'is' : 'are'} sent now.`;
  show();
  if (player) player.audio.dataset.durationS = talk.duration_s;
  const first = nextDoubtful(talk, null) ?? talk.turns.get(talk.order[0]);
  if (first) goTo(first.id);
  if (waveform) await player.draw(at('wave'), await waveform, talk.duration_s, facts.nonce);
  performance.mark('review:ready');
  document.documentElement.dataset.ready = 'yes';
}

begin();
