// A source that was added, or whose filters were changed, is looked at: what would come? Its page then shows that.

import { api, fieldsOf, tell } from './forms.js';

document.addEventListener('api:done', (event) => {
  const show = event.target.dataset?.look;
  if (show) look(show, event.detail.id, event.target);
});

// A filter whose field is empty is taken away, so that these forms send null where others send nothing.
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.dataset.filters) return;
  event.preventDefault();
  tell(form, '');
  const names = [...form.elements].map((field) => field.name).filter(Boolean);
  const given = fieldsOf(form);
  const filters = Object.fromEntries(names.map((name) => [name, given[name] ?? null]));
  try {
    await api('PATCH', form.dataset.filters, { filters });
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    return tell(form, problem.detail);
  }
  look(form.dataset.show, form.dataset.source, form);
});

async function look(show, source, form) {
  try {
    await api('POST', '/v1/refreshes', { show, source, dry_run: true });
  } catch (problem) {
    if (problem.detail === undefined) throw problem;
    return tell(form, `The source is kept, and could not be looked at: ${problem.detail}`);
  }
  location.href = `/shows/${encodeURIComponent(show)}/sources/${encodeURIComponent(source)}`;
}
