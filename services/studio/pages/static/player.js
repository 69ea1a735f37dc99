// Plays only a part of a sound, one at a time on the whole page.
//
//   <button class="play" data-audio="/v1/shows/s/recordings/r/audio" data-from="12.3" data-to="20.1" aria-pressed="false">
//
// A second press stops it. Without data-from it begins at the start, without data-to it goes on to the end. Other modules may
// `play(url, from, to, button)` and `stop()`; whatever other <audio> or <video> begins to play, stops it too.
// Events on the button: player:begun, player:ended (also when it was stopped).

import { tell } from './forms.js';

const SOON_S = 0.3; // a browser tells four times a second where it is; nearer to the end, a timer waits

const audio = new Audio();
audio.preload = 'metadata';
let now = null; // { button, from, to } that plays or is about to
let timer = 0;

export function play(url, from = 0, to = Infinity, button = null) {
  stop();
  const mine = { button, from, to };
  now = mine;
  press(button, true);
  const address = new URL(url, location.href);
  address.hash = '';
  if (audio.src !== address.href || audio.error) audio.src = address.href;
  if (audio.readyState > 0) begin(mine);
}

export function stop() {
  clearTimeout(timer);
  audio.pause();
  const ended = now;
  now = null;
  if (ended) press(ended.button, false);
}

export const playing = () => now;

// To seek before the length is known does nothing: the browser tells when it is.
audio.addEventListener('loadedmetadata', () => now && begin(now));

function begin(mine) {
  audio.currentTime = mine.from;
  audio.play().catch((error) => {
    if (now !== mine || error.name === 'AbortError') return; // stopped, or another part was asked for meanwhile
    stop();
    if (error.name === 'NotAllowedError') complain(mine, 'The browser wants a click before it plays: press the button again.');
    else complain(mine, 'This cannot be played: the browser does not know the sound, or it did not come.');
  });
}

audio.addEventListener('timeupdate', watch);
audio.addEventListener('ended', stop);
audio.addEventListener('error', () => {
  const mine = now;
  if (!mine) return;
  stop();
  complain(mine, 'This cannot be played: its sound is not stored here any more, or the connection broke. Load the page again.');
});

function watch() {
  clearTimeout(timer);
  if (!now) return;
  const left = now.to - audio.currentTime;
  if (left <= 0 || (now.button && !now.button.isConnected)) stop();
  else if (left < SOON_S && !audio.paused) timer = setTimeout(watch, left * 1000);
}

function press(button, pressed) {
  if (!button) return;
  button.setAttribute('aria-pressed', String(pressed));
  button.dispatchEvent(new CustomEvent(pressed ? 'player:begun' : 'player:ended', { bubbles: true }));
}

function complain(mine, text) {
  if (mine.button) tell(mine.button, text);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button.play[data-audio]');
  if (!button) return;
  if (now?.button === button) return stop();
  tell(button, '');
  const { audio: url, from, to } = button.dataset;
  play(url, Number(from || 0), to ? Number(to) : Infinity, button);
});

// Media events do not bubble, but they are captured on their way down.
document.addEventListener('play', (event) => event.target !== audio && stop(), true);
