// The people of a recording: what they are called, what they are, and which two voices are one person.

export class SpeakersTable {
  constructor(place, roles, act) {
    this.place = place;
    this.roles = roles;
    this.act = act;
  }

  // Whoever is typing goes on; the table is drawn when they are through.
  draw(talk) {
    const { activeElement: active } = document;
    const isHere = this.place.contains(active);
    if (isHere && active.matches('input') && active.value !== active.defaultValue) {
      active.addEventListener('blur', () => this.draw(talk), { once: true });
      return;
    }
    const place = isHere ? active.dataset.place : null;
    this.place.replaceChildren(...talk.speakers.map((one, n) => this.#row(one, n + 1, talk.speakers)));
    if (place) this.place.querySelector(`[data-place="${CSS.escape(place)}"]`)?.focus();
  }

  #row(one, number, all) {
    const row = document.createElement('fieldset');
    row.className = 'person';
    const legend = document.createElement('legend');
    legend.textContent = `${number} ${one.label}, ${Math.round(one.speech_s / 60)} min`;
    row.append(legend, this.#name(one), this.#role(one), this.#merge(one, all));
    row.querySelectorAll('input, select').forEach((field, n) => (field.dataset.place = `${one.label}.${n}`));
    return row;
  }

  #name(one) {
    const field = document.createElement('input');
    Object.assign(field, { defaultValue: one.name ?? '', maxLength: 300, autocomplete: 'off' });
    field.addEventListener('change', () => {
      const name = field.value.trim();
      if (name && name !== one.name) this.act([{ kind: 'rename', speaker: one.label, name }]);
    });
    return labelled('Name', field);
  }

  #role(one) {
    const choice = chooser(this.roles.map((role) => [role, role]), one.role);
    choice.addEventListener('change', () => this.act([{ kind: 'role', speaker: one.label, role: choice.value }]));
    return labelled('Role', choice);
  }

  #merge(one, all) {
    const others = all.filter((other) => other !== one).map((other) => [other.label, other.name || other.label]);
    const choice = chooser([['', 'nobody else'], ...others], '');
    choice.addEventListener('change', () => {
      if (choice.value && confirm(`All that ${one.name || one.label} says is said by ${choice.selectedOptions[0].text}?`)) {
        this.act([{ kind: 'merge-speakers', speaker: one.label, into: choice.value }]);
      } else {
        choice.value = '';
      }
    });
    return labelled('Is the same as', choice);
  }
}

function labelled(text, field) {
  const label = document.createElement('label');
  label.append(text, field);
  return label;
}

function chooser(options, value) {
  const choice = document.createElement('select');
  for (const [key, text] of options) choice.add(new Option(text, key));
  choice.value = value;
  return choice;
}
