// The sound of a recording and its waveform, drawn from studio's peaks: the browser never decodes more than it plays.

import WaveSurfer from './vendor/wavesurfer.esm.js';
import Regions from './vendor/regions.esm.js';

const HEADER_BYTES = 24;
const PER_SECOND = { usual: 20, least: 1, most: 160 };

// audiowaveform's binary format, version 2, 8 bit: pairs of lowest and highest.
export function readPeaks(buffer) {
  const values = new Int8Array(buffer, HEADER_BYTES);
  const highs = new Float32Array(values.length / 2);
  const lows = new Float32Array(values.length / 2);
  for (let n = 0; n < highs.length; n += 1) {
    lows[n] = -values[2 * n] / 128;
    highs[n] = values[2 * n + 1] / 128;
  }
  return [highs, lows];
}

export class Player {
  // onTime(seconds, isPlaying); onProblem(text)
  constructor(audio, address, { onTime, onProblem }) {
    this.audio = audio;
    this.until_s = null;
    this.listened_s = 0;
    this.at_s = 0;
    this.onTime = onTime;
    audio.src = address;
    for (const event of ['timeupdate', 'pause']) audio.addEventListener(event, () => this.#look());
    for (const event of ['seeking', 'seeked', 'play']) audio.addEventListener(event, () => (this.at_s = audio.currentTime));
    audio.addEventListener('play', () => requestAnimationFrame(() => this.#follow()));
    audio.addEventListener('error', () => onProblem(`The audio does not play: ${audio.error.message || 'studio does not have it'}.`));
    this.onProblem = onProblem;
  }

  // answer: studio's, with the peaks; null if it gave none
  async draw(place, answer, duration_s, nonce) {
    if (!answer?.ok) return this.onProblem('The waveform is not there; the audio plays without it.');
    const look = getComputedStyle(document.documentElement);
    const colour = (name) => look.getPropertyValue(name).trim();
    this.regions = Regions.create();
    this.zoom = PER_SECOND.usual;
    this.wave = WaveSurfer.create({
      container: place, media: this.audio, peaks: readPeaks(await answer.arrayBuffer()), duration: duration_s, height: 72,
      minPxPerSec: this.zoom, normalize: true, cspNonce: nonce, plugins: [this.regions],
      waveColor: colour('--quiet'), progressColor: colour('--accent'), cursorColor: colour('--focus'), cursorWidth: 2,
    });
    await new Promise((resolve) => this.wave.once('ready', resolve));
    this.#mark();
  }

  // Shows a stretch, and what is left out.
  mark(turn, spans) {
    this.marked = { turn, spans };
    this.#mark();
  }

  #mark() {
    if (!this.wave?.getDecodedData() || !this.marked) return;
    this.regions.clearRegions();
    const fixed = { drag: false, resize: false };
    for (const span of this.marked.spans) this.regions.addRegion({ ...fixed, start: span.start_s, end: span.end_s, color: 'rgb(128 128 128 / .35)' });
    const { turn } = this.marked;
    if (!turn) return;
    this.regions.addRegion({ ...fixed, start: turn.start_s, end: turn.end_s, color: 'rgb(194 87 26 / .25)' });
    const seen_s = this.wave.getWidth() / this.zoom;
    this.wave.setScrollTime(Math.max(0, (turn.start_s + turn.end_s - seen_s) / 2));
  }

  magnify(factor) {
    if (!this.wave) return;
    this.zoom = Math.min(PER_SECOND.most, Math.max(PER_SECOND.least, this.zoom * factor));
    this.wave.zoom(this.zoom);
    this.#mark();
  }

  get isPlaying() {
    return !this.audio.paused;
  }

  async play(from_s, until_s = null) {
    this.until_s = until_s;
    this.audio.currentTime = Math.max(0, from_s);
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name === 'NotAllowedError') this.onProblem('The browser plays nothing before you press a key or click on this page.');
      else if (error.name !== 'AbortError' && error.name !== 'NotSupportedError') throw error;
    }
  }

  stop() {
    this.until_s = null;
    this.audio.pause();
  }

  #follow() {
    this.#look();
    if (this.isPlaying) requestAnimationFrame(() => this.#follow());
  }

  #look() {
    const { currentTime, seeking, playbackRate } = this.audio;
    const passed_s = currentTime - this.at_s;
    if (!seeking && passed_s > 0 && passed_s < 2 * playbackRate) this.listened_s += passed_s;
    this.at_s = currentTime;
    this.audio.dataset.listenedS = this.listened_s.toFixed(2);
    if (this.isPlaying && this.until_s !== null && currentTime >= this.until_s) this.stop();
    this.onTime(currentTime, this.isPlaying);
  }
}
