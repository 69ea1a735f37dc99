// Sends files piece by piece (tus), each with its title and guest, and has a recording made of each; or of all of them
// together, where each is one speaker's. What broke off goes on where it was, also after the page was closed.

import { api } from './forms.js';

const { Upload, isSupported } = window.tus;
const AT_ONCE = 3;
const OVER = ['queued', 'joined']; // a job has the file
const PIECE_BYTES = 8 * 1024 * 1024; // what a broken connection costs at most
const PAUSES_MS = [0, 1000, 3000, 5000, 10_000, 20_000];

const form = document.getElementById('sending');
if (form) begin(form);

function begin(form) {
  const part = (id) => document.getElementById(id);
  const [drop, files, list, how, ofAll, send, pause, sent] = ['drop', 'files', 'rows', 'how', 'of-all', 'send', 'pause', 'sent'].map(part);
  const rows = [];
  let paused = false;

  const take = () => {
    add(files.files);
    files.value = '';
  };
  files.addEventListener('change', take);
  for (const name of ['dragenter', 'dragover']) drop.addEventListener(name, (event) => over(event, true));
  for (const name of ['dragleave', 'drop']) drop.addEventListener(name, (event) => over(event, false));
  drop.addEventListener('drop', (event) => add(event.dataTransfer.files));
  how.addEventListener('change', show);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    rows.filter((row) => row.state === 'chosen').forEach((row) => row.set('waiting'));
    work();
  });
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    pause.textContent = paused ? 'Go on' : 'Pause all';
    rows.filter((row) => row.state === (paused ? 'sending' : 'paused')).forEach((row) => (paused ? row.pause() : row.set('waiting')));
    work();
  });
  window.addEventListener('beforeunload', (event) => {
    if (rows.some((row) => ['sending', 'waiting', 'asking'].includes(row.state))) event.preventDefault();
  });

  function over(event, yes) {
    event.preventDefault();
    drop.classList.toggle('over', yes);
  }

  function add(chosen) {
    for (const file of chosen) {
      const row = new Row(file, form.dataset.host, changed);
      rows.push(row);
      list.append(row.element);
    }
    show();
  }

  function changed(row, wish) {
    if (wish === 'remove') rows.splice(rows.indexOf(row), 1);
    const led = rows.filter((one) => one.leader === row);
    if (wish === 'lost') led.forEach((one) => one.forget());
    if (wish === 'again') led.forEach((one) => one.set(one.key ? 'sent' : 'waiting'));
    work();
  }

  const tracks = () => how.querySelector('input:checked').value === 'tracks';

  function work() {
    if (!isSupported) return (sent.textContent = 'This browser is too old to send files piece by piece; use a newer one.');
    const busy = rows.filter((row) => row.state === 'sending').length;
    if (!paused) rows.filter((row) => row.state === 'waiting').slice(0, AT_ONCE - busy).forEach((row) => row.send());
    if (tracks()) joinAll();
    else rows.filter((row) => row.state === 'sent').forEach((row) => row.ask(orderOf(row)));
    show();
  }

  const orderOf = (row) => ({ show: form.dataset.show, upload_key: row.key, filename: row.file.name, ...row.said('title', 'guest') });

  // All are there: one recording is made of them, and its job is told at the first.
  function joinAll() {
    const left = rows.filter((row) => !['asking', ...OVER].includes(row.state));
    if (left.length < 2 || left.some((row) => row.state !== 'sent')) return;
    const [title, guest] = ['whole-title', 'whole-guest'].map((id) => part(id).value.trim() || undefined);
    const named = left.map((row) => ({ upload_key: row.key, filename: row.file.name, ...row.said('speaker', 'role', 'offset_s') }));
    const [first, ...others] = left;
    others.forEach((row) => row.join(first));
    first.ask({ show: form.dataset.show, title, guest, tracks: named });
  }

  function show() {
    const chosen = rows.filter((row) => row.state === 'chosen');
    const done = rows.filter((row) => OVER.includes(row.state)).length;
    const asTracks = tracks();
    how.hidden = rows.length < 2;
    how.querySelectorAll('input[type=radio]').forEach((one) => (one.disabled = rows.some((row) => !['chosen', ...OVER].includes(row.state))));
    ofAll.hidden = !asTracks;
    rows.forEach((row) => row.ofOneSpeaker(asTracks));
    send.hidden = !chosen.length || (asTracks && rows.length - done < 2);
    send.textContent = chosen.length === 1 ? 'Send 1 file' : `Send ${chosen.length} files`;
    pause.hidden = !paused && !rows.some((row) => ['sending', 'waiting'].includes(row.state));
    sent.textContent = done ? `${done} of ${rows.length} sent.` : '';
  }
  queueMicrotask(() => files.files.length && take()); // chosen before this script was there
}

// One file. `state`: chosen, waiting, sending, paused, sent, asking, queued, joined (another row's job has it), failed.
class Row {
  constructor(file, host, changed) {
    this.file = file;
    this.changed = changed;
    this.state = 'chosen';
    this.key = null; // of the upload, once all of it is there
    this.draw(host);
  }

  draw(host) {
    const id = `file-${Row.count = (Row.count ?? 0) + 1}`;
    this.bar = made('progress', { max: this.file.size || 1, value: 0, hidden: true, ariaLabel: `sent of ${this.file.name}` });
    this.told = made('p', { className: 'quiet', role: 'status' });
    this.amount = made('p', { className: 'quiet' }); // told many times a second: nobody is to hear that
    this.problem = made('p', { className: 'problem', role: 'alert', hidden: true });
    this.fields = {
      title: field(id, 'Title', 'title', { placeholder: 'as the file says' }),
      guest: field(id, 'Guest', 'guest', {}),
      speaker: field(id, 'Speaker', 'speaker', { required: true }),
      role: choice(id, 'Role', 'role', { '': 'find out', host: `host (${host})`, guest: 'guest', other: 'somebody else' }),
      offset_s: field(id, 'Begins after seconds', 'offset_s', { type: 'number', min: '0', step: 'any', value: '0' }),
    };
    this.button = made('button', { type: 'button', className: 'plain', textContent: 'Leave out' });
    this.button.addEventListener('click', () => this.press());
    this.place = made('div', {});
    const head = made('p', { className: 'row' }, made('strong', { textContent: this.file.name, className: 'long' }), made('span', { className: 'quiet nowrap', textContent: size(this.file.size) }));
    const fields = made('div', { className: 'fields' }, ...Object.values(this.fields).map((one) => one.label));
    this.element = made('li', { className: 'card' }, head, fields, this.bar, this.amount, this.told, this.problem, this.button, this.place);
  }

  join(leader) {
    this.leader = leader;
    this.set('joined');
  }

  forget() {
    this.key = this.upload = null;
  }

  ofOneSpeaker(yes) {
    const fixed = ['asking', ...OVER].includes(this.state);
    for (const [name, one] of Object.entries(this.fields)) {
      if (!fixed) one.label.hidden = ['title', 'guest'].includes(name) === yes;
      one.input.disabled = fixed || one.label.hidden;
    }
  }

  said(...names) {
    const given = names.map((name) => [name, this.fields[name].input.value.trim()]).filter(([, value]) => value);
    return Object.fromEntries(given.map(([name, value]) => [name, name === 'offset_s' ? Number(value) : value]));
  }

  set(state) {
    this.state = state;
    const words = { chosen: 'Leave out', waiting: 'Leave out', sending: 'Pause', paused: 'Go on', failed: this.place.firstChild ? 'Send it again' : 'Try again' };
    this.button.textContent = words[state] ?? '';
    this.button.hidden = !words[state];
    this.bar.hidden = this.amount.hidden = !['sending', 'paused', 'failed'].includes(state) || Boolean(this.key);
    const told = { waiting: 'Waiting for its turn.', sending: '', sent: 'Sent; waiting for the others.', asking: 'Sent.', joined: 'Sent; part of the recording above.', queued: '' };
    if (told[state] !== undefined) this.told.textContent = told[state];
    if (state !== 'failed') this.problem.hidden = true;
  }

  press() {
    if (this.state === 'chosen' || this.state === 'waiting') {
      this.element.remove();
      this.changed(this, 'remove');
    } else if (this.state === 'sending') {
      this.pause();
      this.changed(this);
    } else {
      this.place.replaceChildren();
      this.set(this.key ? 'sent' : 'waiting');
      this.changed(this, 'again');
    }
  }

  async send() {
    this.set('sending');
    this.upload ??= await this.open();
    if (this.state === 'sending') this.upload.start();
  }

  async open() {
    const upload = new Upload(this.file, {
      endpoint: '/v1/uploads',
      chunkSize: PIECE_BYTES,
      retryDelays: PAUSES_MS,
      metadata: { filename: this.file.name, filetype: this.file.type },
      headers: { 'X-CSRF-Token': document.querySelector('meta[name=csrf]').content },
      removeFingerprintOnSuccess: true,
      onProgress: (count, whole) => this.progress(count, whole),
      onSuccess: () => this.arrived(upload),
      onError: (error) => this.fail(reason(error)),
    });
    const [earlier] = await upload.findPreviousUploads();
    if (earlier) upload.resumeFromPreviousUpload(earlier);
    return upload;
  }

  progress(count, whole) {
    this.bar.value = count;
    this.amount.textContent = `${size(count)} of ${size(whole)}`;
  }

  pause() {
    this.set('paused');
    this.upload?.abort();
  }

  arrived(upload) {
    this.key = new URL(upload.url, location.href).pathname.replace(/^\/v1\//, '');
    this.set('sent');
    this.changed(this);
  }

  fail(text) {
    this.upload = null;
    this.set('failed');
    this.problem.textContent = text;
    this.problem.hidden = false;
    this.changed(this);
  }

  // Has a recording made. The same order again, after an answer was lost, is the same job.
  async ask(order) {
    this.set('asking');
    try {
      const job = await api('POST', '/v1/recordings', order, { 'Idempotency-Key': this.key.replace(/\W/g, '-') });
      this.set('queued');
      this.watch(job.id);
    } catch (problem) {
      if (problem.detail === undefined) throw problem;
      this.fail(problem.detail);
    }
    this.changed(this);
  }

  watch(job) {
    const card = made('div', {});
    card.setAttribute('hx-get', `/jobs/${encodeURIComponent(job)}/card`);
    card.setAttribute('hx-trigger', 'load');
    card.setAttribute('hx-swap', 'outerHTML');
    const place = made('div', {}, card); // a new one, that no earlier job is told in
    this.place.replaceWith(place);
    this.place = place;
    this.place.addEventListener('htmx:afterSettle', () => this.ended(job));
    window.htmx.process(this.place);
  }

  // Once the job is done, lead to what it made. One that failed has dropped the file: it is sent again.
  async ended(job) {
    if (this.job === job) return;
    if (this.place.querySelector('.state.failed, .state.cancelled')) {
      this.job = job;
      this.forget();
      this.set('failed');
      return this.changed(this, 'lost');
    }
    if (!this.place.querySelector('.state.done')) return;
    this.job = job;
    const { result, show } = await api('GET', `/v1/jobs/${encodeURIComponent(job)}`);
    const link = made('a', { textContent: result.new ? 'Open the recording' : 'It was here already: open it' });
    link.href = `/shows/${encodeURIComponent(show)}/recordings/${encodeURIComponent(result.recording)}`;
    this.place.append(made('p', {}, link));
  }
}

function reason(error) {
  const body = error.originalResponse?.getBody();
  if (!error.originalResponse) return 'The connection broke off. What came is kept: try again, and the rest is sent.';
  try {
    return JSON.parse(body).detail;
  } catch {
    return `The server answered ${error.originalResponse.getStatus()}. What came is kept: try again.`;
  }
}

function made(name, facts, ...inside) {
  const element = Object.assign(document.createElement(name), facts);
  if (facts.role) element.setAttribute('role', facts.role);
  element.append(...inside);
  return element;
}

function field(id, words, name, facts) {
  const input = made('input', { id: `${id}-${name}`, maxLength: 300, ...facts });
  return { input, label: made('label', { htmlFor: input.id }, words, input) };
}

function choice(id, words, name, options) {
  const input = made('select', { id: `${id}-${name}` }, ...Object.entries(options).map(([value, text]) => made('option', { value, textContent: text })));
  return { input, label: made('label', { htmlFor: input.id }, words, input) };
}

function size(count) {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${(count / 1000 ** power).toFixed(power && count < 10 * 1000 ** power ? 1 : 0)} ${['B', 'kB', 'MB', 'GB', 'TB'][power]}`;
}
