// <input type="search" data-filter="ID"> shows of the table ID only rows whose data-find holds all words that are typed.
// <p data-filtered="ID"> is told how many that are. Rows that come later (htmx) are filtered too.

function filter(input) {
  const table = document.getElementById(input.dataset.filter);
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...table.querySelectorAll('[data-find]')];
  let shown = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => row.dataset.find.includes(word));
    if (!row.hidden) shown += 1;
  }
  const told = document.querySelector(`[data-filtered="${table.id}"]`);
  if (told) told.textContent = words.length ? `${shown} of ${rows.length}` : '';
}

const all = () => document.querySelectorAll('input[data-filter]').forEach((input) => input.value && filter(input));

document.addEventListener('input', (event) => event.target.matches('input[data-filter]') && filter(event.target));
document.addEventListener('htmx:afterSettle', all);
all(); // a browser that goes back keeps what was typed
