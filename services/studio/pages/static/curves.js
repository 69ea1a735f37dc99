// The curves of a training run, and its figures while it is under way.
//
// <div id="curves" data-run="/v1/shows/S/runs/N" data-job="/v1/jobs/J">: without data-job nothing changes any more.
// [data-live=NAME] elements show the job's live figures. The run's stored figures grow with each checkpoint; between
// two of them, the training loss comes from the job.

import { api } from './forms.js';

const RUN_MS = 5000;
const JOB_MS = 1000;
const HEIGHT = 340;
const WHOLE = [1, 10, 100, 1000, 10000].flatMap((unit) => [unit, 2 * unit, 5 * unit]); // there is no half step

const place = document.getElementById('curves');
let run;
let live = []; // {step, loss} since the newest checkpoint
let chart;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const told = (value) => (value === null || value === undefined ? '–' : value.toFixed(3));

function columns() {
  const known = run.metrics.filter((point, at) => at === run.metrics.length - 1 || run.metrics[at + 1].step > point.step);
  const last = known.at(-1)?.step ?? -1;
  live = live.filter((point) => point.step > last);
  return [
    [...known.map((point) => point.step), ...live.map((point) => point.step)],
    [...known.map((point) => point.train_loss), ...live.map((point) => point.loss)],
    [...known.map((point) => point.eval_loss), ...live.map(() => null)],
  ];
}

function draw() {
  const data = columns();
  if (data[0].length < 2) {
    place.textContent = place.dataset.job ? 'Curves begin with the first steps.' : 'There are no figures of this run.';
    return;
  }
  describe();
  if (chart) return chart.setData(data);
  place.textContent = '';
  chart = new uPlot(options(), data, place);
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
}

function describe() {
  const best = run.best_step === null ? '' : ` The lowest held-out loss is ${told(run.best_eval_loss)} at step ${run.best_step}.`;
  place.setAttribute('aria-label', `Losses up to step ${columns()[0].at(-1)}: held-out loss ${told(run.eval_loss)}.${best} The same as a table below.`);
}

function options() {
  const axis = { stroke: colour('--ink'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
  const line = (label, stroke, more) => ({ label, stroke, width: 2, spanGaps: true, value: (_, value) => told(value), ...more });
  return {
    width: place.clientWidth,
    height: HEIGHT,
    scales: { x: { time: false } },
    axes: [{ ...axis, label: 'Step', labelSize: 24, incrs: WHOLE }, { ...axis, label: 'Loss', labelSize: 24 }],
    series: [
      { label: 'Step', value: (_, value) => value ?? '–' },
      line('Training loss', colour('--host'), { points: { show: false } }),
      line('Held-out loss', colour('--guest'), { points: { show: true, size: 7 } }),
    ],
    hooks: { draw: [marks] },
  };
}

function marks(plot) {
  const { ctx, bbox } = plot;
  const ratio = window.devicePixelRatio;
  ctx.save();
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  ctx.fillStyle = ctx.strokeStyle = colour('--quiet');
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  run.epoch_ends.forEach((step, at) => {
    const x = plot.valToPos(step, 'x', true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.textAlign = 'right';
    ctx.fillText(`epoch ${at + 1}`, x - 4 * ratio, bbox.top + 14 * ratio);
  });
  if (run.best_step !== null) {
    const x = plot.valToPos(run.best_step, 'x', true);
    const y = plot.valToPos(run.best_eval_loss, 'y', true);
    ctx.setLineDash([]);
    ctx.lineWidth = 2 * ratio;
    ctx.strokeStyle = ctx.fillStyle = colour('--good');
    ctx.beginPath();
    ctx.arc(x, y, 8 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.textAlign = x > bbox.left + bbox.width / 2 ? 'right' : 'left';
    ctx.fillText('best', x + (ctx.textAlign === 'right' ? -12 : 12) * ratio, y - 10 * ratio);
  }
  ctx.restore();
}

function show(name, text) {
  const element = document.querySelector(`[data-live=${name}]`);
  if (element) element.textContent = text;
}

function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

function note({ stage, done, eta_s: left, figures }) {
  if (figures.loss === undefined) return; // it loads, judges or waits: the last figures stay
  if (stage.endsWith('training') && done > (live.at(-1)?.step ?? -1)) live.push({ step: done, loss: figures.loss });
  show('step', done.toLocaleString('en'));
  for (const name of ['loss', 'held_out_loss']) if (name in figures) show(name, told(figures[name]));
  if ('tokens_per_s' in figures) show('tokens_per_s', Math.round(figures.tokens_per_s).toLocaleString('en'));
  if ('memory_gb' in figures) show('memory_gb', figures.memory_gb.toFixed(1));
  if (left !== null) show('eta_s', `about ${span(left)}`);
}

async function readRun() {
  run = await api('GET', place.dataset.run);
  draw();
}

// What does not answer now is asked again: a restart of studio must not end a curve.
async function again(work, pause) {
  let goesOn = true;
  while (goesOn) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      goesOn = await work();
    } catch (problem) {
      if (problem.detail === undefined) throw problem;
    }
  }
}

try {
  await readRun();
} catch (problem) {
  if (problem.detail === undefined) throw problem;
  place.textContent = problem.detail;
}
if (place.dataset.job) {
  let isOver = false;
  again(async () => {
    const job = await api('GET', place.dataset.job);
    if (job.progress) note(job.progress);
    if (run) draw();
    isOver = ['done', 'failed', 'cancelled'].includes(job.state);
    if (isOver) location.reload();
    return !isOver;
  }, JOB_MS);
  again(async () => {
    await readRun();
    return !isOver;
  }, RUN_MS);
}
