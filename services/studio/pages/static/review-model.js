// A transcript as the editor shows it, and what each edit makes of it. Studio decides; this is its answer foreseen, so that
// nobody waits for it. Turns that do not change stay the same objects. Pure.
//
// A talk is { revision, state, judged_by, speakers, left_out, order: [id], turns: Map(id -> turn) }, a turn
// { id, speaker, start_s, end_s, words, times, doubt, reasons, settled_by }: see services/studio/pages/reviewing.py.

export function unpacked(told, before) {
  const news = new Map(told.turns.map((turn) => [turn.id, turn]));
  const turns = new Map(told.order.map((id) => [id, news.get(id) ?? before.turns.get(id)]));
  return { ...told, turns };
}

export const isDoubtful = (turn) => turn.doubt !== null;

const byDoubt = (one, other) => other.doubt - one.doubt || one.start_s - other.start_s;

// Doubtful turns, worst first.
export function queueOf(talk) {
  if (talk.state === 'approved') return [];
  return [...talk.turns.values()].filter(isDoubtful).sort(byDoubt);
}

// The doubtful turn after a place in that queue; after its end it begins anew.
export function nextDoubtful(talk, place) {
  const queue = queueOf(talk);
  return queue.find((turn) => !place || byDoubt(place, turn) < 0) ?? queue[0];
}

export const textOf = (turn) => turn.words.join(' ');
export const startOf = (turn, word) => turn.times[2 * word] / 100;
export const isLeftOut = (talk, turn) => talk.left_out.some((span) => span.start_s < turn.end_s && span.end_s > turn.start_s);

// The other one of the two who talk most.
export function otherSpeaker(talk, turn) {
  const others = talk.speakers.filter((one) => one.label !== turn.speaker).sort((a, b) => b.speech_s - a.speech_s);
  return others[0]?.label ?? 'new';
}

export function edited(talk, edits, person) {
  const after = edits.reduce((now, edit) => (MAKE[edit.kind] ? MAKE[edit.kind](now, edit, person) : now), talk);
  if (edits.some((edit) => edit.kind === 'judge' || edit.kind === 'undo')) return after;
  const looked = after.state === 'machine' && queueOf(talk).length && !queueOf(after).length;
  return talk.state === 'approved' || looked ? { ...after, state: 'reviewed' } : after;
}

const MAKE = {
  reassign: (talk, edit, person) => {
    const to = labelOf(talk, edit.to);
    return withTurns(talk, edit.turns.map((id) => settled({ ...talk.turns.get(id), speaker: to }, person)));
  },
  split: (talk, edit, person) => {
    const turn = talk.turns.get(edit.turn);
    const first = settled(part(turn, 0, edit.before_word, turn.id), person);
    const second = settled(part(turn, edit.before_word, turn.words.length, freshName(talk)), person);
    second.speaker = edit.to ? labelOf(talk, edit.to) : turn.speaker;
    const place = talk.order.indexOf(turn.id);
    const order = [...talk.order.slice(0, place + 1), second.id, ...talk.order.slice(place + 1)];
    return withTurns({ ...talk, order }, [first, second]);
  },
  join: (talk, edit, person) => {
    const turn = talk.turns.get(edit.turn);
    const before = talk.turns.get(talk.order[talk.order.indexOf(edit.turn) - 1]);
    const joined = { ...before, words: [...before.words, ...turn.words], times: [...before.times, ...turn.times] };
    joined.end_s = Math.max(before.end_s, turn.end_s);
    return withTurns({ ...talk, order: talk.order.filter((id) => id !== turn.id) }, [settled(joined, person)]);
  },
  text: (talk, edit, person) => {
    const turn = talk.turns.get(edit.turn);
    const words = edit.text.split(/\s+/).filter(Boolean);
    const share_s = (turn.end_s - turn.start_s) / words.length;
    const times = words.flatMap((_, n) => [n, n + 1].map((edge) => Math.round(100 * (turn.start_s + edge * share_s))));
    return withTurns(talk, [settled({ ...turn, words, times }, person)]);
  },
  settle: (talk, edit, person) => withTurns(talk, edit.turns.map((id) => settled(talk.turns.get(id), person))),
  'merge-speakers': (talk, edit, person) => {
    const moved = [...talk.turns.values()].filter((turn) => turn.speaker === edit.speaker);
    return withTurns(talk, moved.map((turn) => settled({ ...turn, speaker: edit.into }, person)));
  },
  rename: (talk, edit) => withSpeaker(talk, edit.speaker, { name: edit.name }),
  role: (talk, edit) => withSpeaker(talk, edit.speaker, { role: edit.role }),
  exclude: (talk, edit) => ({
    ...talk,
    left_out: [...talk.left_out, { start_s: edit.start_s, end_s: edit.end_s, reason: edit.reason, own: true }],
  }),
  include: (talk, edit) => ({
    ...talk,
    left_out: talk.left_out.filter((span) => !span.own || span.end_s <= edit.start_s || span.start_s >= edit.end_s),
  }),
  judge: (talk, edit, person) => ({ ...talk, state: edit.state, judged_by: person }),
};

const settled = (turn, person) => ({ ...turn, doubt: null, reasons: [], settled_by: person });

const withSpeaker = (talk, label, changes) => ({
  ...talk,
  speakers: talk.speakers.map((one) => (one.label === label ? { ...one, ...changes } : one)),
});

function withTurns(talk, changed) {
  const news = new Map(changed.map((turn) => [turn.id, turn]));
  const turns = new Map(talk.order.map((id) => [id, news.get(id) ?? talk.turns.get(id)]));
  const talking = new Set([...turns.values()].map((turn) => turn.speaker));
  const speakers = talk.speakers.filter((one) => talking.delete(one.label));
  for (const label of talking) speakers.push({ label, role: 'unknown', name: null, speech_s: 0 });
  const same = speakers.length === talk.speakers.length && speakers.every((one, n) => one === talk.speakers[n]);
  return { ...talk, turns, speakers: same ? talk.speakers : speakers };
}

function labelOf(talk, wanted) {
  if (wanted !== 'new') return wanted;
  const taken = new Set(talk.speakers.map((one) => one.label));
  let number = 1;
  while (taken.has(`S${number}`)) number += 1;
  return `S${number}`;
}

// Studio names the second part of a split so too: edits that wait for their turn can speak of it.
function freshName(talk) {
  const numbers = talk.order.map((id) => Number(/^t(\d+)$/.exec(id)?.[1] ?? 0));
  return `t${Math.max(0, ...numbers) + 1}`;
}

function part(turn, begin, end, id) {
  const times = turn.times.slice(2 * begin, 2 * end);
  return {
    ...turn,
    id,
    times,
    words: turn.words.slice(begin, end),
    start_s: begin === 0 ? turn.start_s : times[0] / 100,
    end_s: end === turn.words.length ? turn.end_s : times[times.length - 1] / 100,
  };
}
