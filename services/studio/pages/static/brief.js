// The form of a brief: shows the field for a consent only where it counts, takes one length of two, names the fact sheet.

const form = document.querySelector('form[data-brief]');
const sheets = JSON.parse(document.getElementById('sheets-known')?.textContent ?? '[]');
const plain = (name) => name.trim().replace(/\s+/g, ' ').toLowerCase();

if (form) {
  form.addEventListener('input', arrange);
  arrange();
}

function arrange() {
  const { guest, guest_is: is, minutes, words } = form.elements;
  for (const part of form.querySelectorAll('[data-shown-for]')) {
    part.hidden = part.dataset.shownFor !== is.value;
    for (const field of part.querySelectorAll('input')) {
      field.disabled = part.hidden;
      field.required = !part.hidden;
    }
  }
  minutes.disabled = words.value.trim() !== '';
  form.querySelector('[data-guest-name]').textContent = guest.value.trim() || 'the guest';
  tellSheet(form.querySelector('[data-sheet-told]'), sheets.find((sheet) => plain(sheet.name) === plain(guest.value)));
}

function tellSheet(place, sheet) {
  if (!sheet) return (place.textContent = 'The name. It may be anybody: invented, or real.');
  const link = document.createElement('a');
  link.href = sheet.address;
  link.textContent = sheet.facts === 1 ? '1 fact' : `${sheet.facts} facts`;
  place.replaceChildren('There is a fact sheet: ', link, ' will be told to the model.');
}
