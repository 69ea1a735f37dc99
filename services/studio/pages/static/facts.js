// A guest's fact sheet: facts can be changed, dated, added and removed; all are saved together, onto the revision that was
// read.

import { api, tell } from './forms.js';

const known = JSON.parse(document.getElementById('known').textContent);
const form = document.getElementById('facts');
const list = document.getElementById('list');
const adder = document.getElementById('add');

function add(fact) {
  const item = document.getElementById('fact').content.cloneNode(true).firstElementChild;
  item.fact = fact;
  field(item, 'text').value = fact.text;
  field(item, 'date').value = fact.date ?? '';
  const from = item.querySelector('[data-from]');
  from.textContent = fact.by === 'source' ? 'The source says so. ' : 'A person says so. ';
  if (fact.sentence) {
    const quote = document.createElement('q');
    quote.textContent = fact.sentence;
    from.append(quote, fact.source && fact.source !== 'text' ? ` (${fact.source})` : '');
  }
  list.append(item);
  return item;
}

const field = (item, name) => item.querySelector(`[data-field=${name}]`);

known.facts.forEach(add);

list.addEventListener('click', (event) => {
  if (!event.target.closest('[data-remove]')) return;
  event.target.closest('li').remove();
  adder.focus();
});

adder?.addEventListener('click', () => {
  if (list.children.length >= Number(adder.dataset.most)) return tell(form, `A sheet has ${adder.dataset.most} facts at most.`);
  field(add({ text: '', date: null, sentence: '', source: '', by: 'person' }), 'text').focus();
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  tell(form, '');
  if (!form.checkValidity()) return form.reportValidity();
  const facts = [...list.children].map((item) => ({
    text: field(item, 'text').value,
    date: field(item, 'date').value.trim() || null,
    sentence: item.fact.sentence,
    source: item.fact.source,
  }));
  const buttons = form.querySelectorAll('button');
  buttons.forEach((button) => (button.disabled = true));
  try {
    await api('PUT', known.address, { revision: known.revision, facts });
    location.reload();
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    tell(form, problem.detail);
    buttons.forEach((button) => (button.disabled = false));
  }
});
