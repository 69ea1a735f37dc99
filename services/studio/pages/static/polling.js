// Parts of a page that ask for themselves anew (hx-trigger="every 1s", with an id). What came is drawn only where it differs
// from what came before, and whoever reads in a part stays where they are. Nothing is asked while nobody looks. A screen
// reader is told when a job's card says something else (data-told), not each second.

const polls = (element) => Boolean(element.getAttribute('hx-trigger')?.startsWith('every'));
const answers = new Map(); // id of a part -> what was answered last
let before = null; // how a part was that is about to be drawn anew
let typed = false; // what somebody has typed would be lost with the page
let held = null; // what a pointer holds down: drawn anew meanwhile, it would not be clicked

document.addEventListener('input', (event) => (typed ||= Boolean(event.target.closest('form'))));

document.addEventListener('pointerdown', (event) => (held = event.button ? null : event.target));
for (const name of ['pointerup', 'pointercancel', 'contextmenu']) document.addEventListener(name, () => (held = null));
window.addEventListener('blur', () => (held = null));

document.addEventListener('htmx:beforeRequest', (event) => {
  if (document.hidden && polls(event.detail.elt)) event.preventDefault();
});

// A job that is done leads on, but not away from a form that somebody fills in.
document.addEventListener('htmx:beforeOnLoad', (event) => {
  const { elt, xhr } = event.detail;
  if (polls(elt) && elt.contains(held)) return event.preventDefault(); // it is asked again soon
  if (!typed || xhr.status !== 200 || !xhr.getResponseHeader('HX-Redirect')) return;
  event.preventDefault();
  before = seen(elt);
  window.htmx.swap(elt, xhr.response, { swapStyle: 'outerHTML' });
});

document.addEventListener('htmx:beforeSwap', (event) => {
  const { elt, xhr, isError } = event.detail;
  if (!polls(elt)) {
    if (isError && !elt.hasAttribute('hx-select')) event.detail.shouldSwap = true; // the part says why it is not there
    return;
  }
  if (!event.detail.shouldSwap) return;
  if (answers.get(elt.id) === xhr.response) event.detail.shouldSwap = false;
  else before = seen(elt);
  answers.set(elt.id, xhr.response);
});

document.addEventListener('htmx:afterSwap', () => {
  if (!before) return;
  const [was, now] = [before, document.getElementById(before.id)];
  before = null;
  if (!now) return;
  scrollers(now).forEach((one, n) => one.scrollTo(...(was.scrolled[n] ?? [0, 0])));
  now.querySelectorAll('details').forEach((one, n) => (one.open ||= Boolean(was.open[n])));
  if (was.focus && document.activeElement === document.body) {
    [...now.querySelectorAll('a, button, summary, [tabindex]')].find((one) => nameOf(one) === was.focus)?.focus({ preventScroll: true });
  }
  if (now.dataset.told && now.dataset.told !== was.told) document.getElementById('changed').textContent = now.dataset.told;
});

const scrollers = (part) => [...part.querySelectorAll('[tabindex="0"]')];
const nameOf = (one) => one.id || `${one.tagName} ${one.getAttribute('href') ?? one.dataset.api ?? one.textContent}`;

function seen(part) {
  const { activeElement: active } = document;
  return {
    id: part.id,
    told: part.dataset.told,
    focus: part.contains(active) ? nameOf(active) : null,
    scrolled: scrollers(part).map((one) => [one.scrollLeft, one.scrollTop]),
    open: [...part.querySelectorAll('details')].map((one) => one.open),
  };
}
