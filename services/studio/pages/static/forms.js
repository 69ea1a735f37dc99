// Forms and buttons that ask the API, and say what it answers.
//
//   <form data-api="POST /v1/episodes" data-then="/jobs/{id}">    fields by name; a.b is the field b of an object a
//   <button data-api="DELETE /v1/jobs/7" data-confirm="Stop it?">  data-body='{"a": 1}' is sent along
//
// data-then is where to go with the answer's fields in braces; without it, the page is loaded again; "stay" does nothing.
// data-as on a field: "lines" is a list of its lines, "list" of its words between commas, "json" what it parses to, "on" a list of
// the values of all checked boxes of that name. Fields that are left empty are not sent.
// What goes wrong is told in the form's [role=alert]. Events on the element: api:done (detail: the answer), api:failed.

const LEAVING_MS = 1000; // until the page is another one

const csrf = () => document.querySelector('meta[name=csrf]')?.content ?? '';

export async function api(method, path, body, headers = {}) {
  const send = { method, headers: { 'X-CSRF-Token': csrf(), ...headers } };
  if (body !== undefined) {
    send.headers['Content-Type'] = 'application/json';
    send.body = JSON.stringify(body);
  } else if (method !== 'GET') {
    send.body = '';
  }
  let answer;
  try {
    answer = await fetch(path, send);
  } catch (error) {
    throw { status: 0, detail: 'Studio does not answer. Is it running, and is your connection up? Try again.' };
  }
  if (answer.status === 401) {
    location.href = '/login?next=' + encodeURIComponent(location.pathname + location.search);
    return new Promise(() => {});
  }
  const text = await answer.text();
  const told = text && answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : {};
  if (!answer.ok) throw { status: answer.status, detail: told.detail ?? `The answer was ${answer.status}.`, ...told };
  return told;
}

export function fieldsOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.type === 'submit') continue;
    const value = valueOf(field);
    if (value === undefined) continue;
    const path = field.name.split('.');
    const last = path.pop();
    const inside = path.reduce((at, name) => (at[name] ??= {}), body);
    if (field.dataset.as === 'on') inside[last] = [...(inside[last] ?? []), value];
    else inside[last] = value;
  }
  return body;
}

function valueOf(field) {
  if (field.type === 'radio' || field.dataset.as === 'on') return field.checked ? field.value : undefined;
  if (field.type === 'checkbox') return field.checked;
  const text = field.value.trim();
  if (text === '') return undefined;
  if (field.dataset.as === 'lines') return text.split('\n').map((line) => line.trim()).filter(Boolean);
  if (field.dataset.as === 'list') return text.split(',').map((word) => word.trim()).filter(Boolean);
  if (field.dataset.as === 'json') return JSON.parse(text);
  return field.type === 'number' ? Number(text) : text;
}

// Not element.dataset: of a form with a field named dataset, that is the field.
const told = (element, name) => element.getAttribute(`data-${name}`);

async function ask(element, body) {
  const [method, path] = told(element, 'api').split(' ');
  if (!told(element, 'key')) element.setAttribute('data-key', newKey());
  const headers = method === 'POST' ? { 'Idempotency-Key': told(element, 'key') } : {};
  const buttons = element.matches('button') ? [element] : [...element.querySelectorAll('button')];
  if (told(element, 'busy')) return;
  element.setAttribute('data-busy', 'yes');
  tell(element, '');
  buttons.forEach((button) => button.setAttribute('aria-disabled', 'true')); // disabled ones would lose the focus
  try {
    const answer = await api(method, path, body, headers);
    element.removeAttribute('data-key');
    element.dispatchEvent(new CustomEvent('api:done', { detail: answer, bubbles: true }));
    follow(told(element, 'then'), answer);
    await new Promise((resolve) => setTimeout(resolve, LEAVING_MS)); // a double click is one order
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    if (problem.status) element.removeAttribute('data-key');
    element.dispatchEvent(new CustomEvent('api:failed', { detail: problem, bubbles: true }));
    tell(element, problem.detail);
  } finally {
    element.removeAttribute('data-busy');
    buttons.forEach((button) => button.removeAttribute('aria-disabled'));
  }
}

function follow(then, answer) {
  if (then === 'stay') return;
  if (!then) return location.reload();
  location.href = then.replace(/{([\w.]+)}/g, (_, path) =>
    encodeURIComponent(path.split('.').reduce((at, name) => at?.[name], answer) ?? ''));
}

export function tell(element, text) {
  const part = element.closest('[hx-trigger^=every]'); // what stands in it is gone in a second, or has gone meanwhile
  const beside = part ? document.getElementById(part.id) ?? part : element;
  let place = element.matches('form') ? element.querySelector('[role=alert]') : beside.nextElementSibling;
  if (!place?.matches('[role=alert]')) {
    if (!text) return;
    place = document.createElement('p');
    place.className = 'problem';
    place.setAttribute('role', 'alert');
    element.matches('form') ? element.prepend(place) : beside.after(place);
  }
  place.textContent = text;
  place.hidden = !text;
  if (text) place.scrollIntoView({ block: 'nearest' });
}

// A key makes a repeated click, or a repeat after a lost answer, the same order.
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, '0')).join('');

// Pages name this file by its version and modules do not, so that a page may hold it twice: one of the two listens.
const listens = !window.diaryFormsListen;
window.diaryFormsListen = true;

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!listens || !told(form, 'api')) return;
  event.preventDefault();
  let body;
  try {
    body = fieldsOf(form);
  } catch {
    return tell(form, 'One of the fields is not what it should be: check braces, brackets and commas.');
  }
  ask(form, body);
});

document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-api]');
  if (!listens || !button) return;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  ask(button, button.dataset.body ? JSON.parse(button.dataset.body) : undefined);
});

document.addEventListener('htmx:configRequest', (event) => (event.detail.headers['X-CSRF-Token'] = csrf()));
