// Corrections on their way to studio: in order, one after the other, each a revision. What is not saved yet is kept in this
// browser, and sent when the recording is opened again: studio knows a request that it has carried out already.

import { api } from './forms.js';

const PAUSES_S = [1, 2, 5, 10];

export class Saving {
  // place: where they go; name: what they are kept under; told: { changed(), saved(step, answer), refused(step, problem) },
  // of which the last two are promises that the next step waits for
  constructor(place, name, told) {
    this.place = place;
    this.name = name;
    this.told = told;
    this.base = null;
    this.steps = [];
    this.state = 'saved'; // saving, failing, conflict
    this.problem = null;
    this.keeps = true;
    this.sending = false;
  }

  // Goes on with what was not saved when the page was left; returns how many steps these are.
  begin(base) {
    const kept = this.#kept();
    this.base = kept.length ? kept[0][0].slice(this.#prefix.length) : base;
    this.steps = kept.flatMap(([, { steps }]) => steps);
    for (const [key] of kept) localStorage.removeItem(key);
    this.#keep();
    this.run();
    return this.steps.length;
  }

  add(step) {
    this.steps.push(step);
    this.#keep();
    if (this.state === 'saved') this.#become('saving'); // also while the answer to the one before is being read
    this.run();
  }

  // Takes the last one back if it has not gone out yet.
  takeBack() {
    if (this.steps.length < (this.sending ? 2 : 1)) return null;
    const step = this.steps.pop();
    this.#keep();
    this.told.changed();
    return step;
  }

  rebase(base) {
    this.#forget();
    this.base = base;
    this.#keep();
  }

  drop() {
    this.steps = [];
    this.#keep();
    this.#become('saved');
  }

  again() {
    this.#become('saving');
    this.run();
  }

  async run() {
    if (this.sending || this.state === 'conflict') return this.told.changed();
    this.sending = true;
    clearTimeout(this.timer);
    while (this.steps.length) {
      this.#become(this.state === 'failing' ? 'failing' : 'saving');
      const step = this.steps[0];
      try {
        const answer = await api('POST', this.place, { base: this.base, edits: step.edits });
        this.#done();
        this.tries = 0;
        this.rebase(answer.transcript);
        await this.told.saved(step, answer);
      } catch (problem) {
        if (problem.detail === undefined) throw problem;
        if (!(await this.#goesOn(step, problem))) break;
      }
    }
    this.sending = false;
    if (!this.steps.length) this.#become('saved');
  }

  // Whether the next step may be sent.
  async #goesOn(step, problem) {
    this.problem = problem;
    if (problem.status === 409) {
      this.#become('conflict');
      return false;
    }
    if (problem.status === 0 || problem.status === 429 || problem.status >= 500) {
      this.#become('failing');
      this.wait_s = PAUSES_S[Math.min(this.tries ?? 0, PAUSES_S.length - 1)];
      this.tries = (this.tries ?? 0) + 1;
      this.timer = setTimeout(() => this.run(), 1000 * this.wait_s);
      return false;
    }
    this.#done();
    await this.told.refused(step, problem);
    return true;
  }

  #done() {
    this.steps.shift();
    this.#keep();
  }

  #become(state) {
    this.state = state;
    this.told.changed();
  }

  get #prefix() {
    return `${this.name}/`;
  }

  #kept() {
    const found = Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
    return found.map((key) => [key, JSON.parse(localStorage.getItem(key))]).sort((a, b) => a[1].at - b[1].at);
  }

  #keep() {
    const key = this.#prefix + this.base;
    if (!this.steps.length) return localStorage.removeItem(key);
    try {
      localStorage.setItem(key, JSON.stringify({ at: Date.now(), steps: this.steps }));
      this.keeps = true;
    } catch {
      this.keeps = false; // full, or forbidden: told in the state line
    }
  }

  #forget() {
    localStorage.removeItem(this.#prefix + this.base);
  }
}
