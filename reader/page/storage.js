// What lies in the lake by day and attribute, for whoever runs it.

import { ask } from './api.js';
import { answersOf, el, field, link, timeField, unseen } from './dom.js';
import { panel } from './statistics.js';
import { bytes, dateText, number, plural } from './words.js';

const DAYS = 30;

/** What a cell shows: its text, and what its shade is by. */
const MEASURES = {
  files: { name: 'Files', text: (size) => number(size.files), words: (size) => plural(size.files, 'file'), weight: (size) => size.files },
  bytes: { name: 'Size', text: (size) => bytes(size.bytes), words: (size) => bytes(size.bytes), weight: (size) => size.bytes },
  small: {
    name: 'Small files', text: (size) => percent(size.small_file_score), words: (size) => `${percent(size.small_file_score)} of the files could go`,
    weight: (size) => size.small_file_score,
  },
};

const percent = (share) => `${Math.round(share * 100)} %`;

export async function storage(state, context) {
  const head = el('div', {}, el('h1', { id: 'answer_title', tabindex: '-1' }, 'What is stored'),
    el('p', { class: 'lead' }, 'For whoever runs the lake: how many files each day and attribute has, how large they are, and how many could be merged away.'),
    questions(state, context));
  const limit = state.days ?? DAYS;
  const node = ask('/v1/layout', { from: state.from, to: state.to, limit }, context.signal).then((layout) => ({
    node: answer(layout, state), said: `${plural(layout.days.length, 'day')}, ${plural(layout.total.files, 'file')}.`,
  }));
  return { title: 'Storage', head, node, said: null };
}

function questions(state, context) {
  const form = el('form', { class: 'controls', 'aria-label': 'Which days', on: { submit: (event) => {
    event.preventDefault();
    context.go({ view: 'storage', measure: state.measure, ...answersOf(form) });
  } } },
    timeField('from', 'From', state.from), timeField('to', 'To', state.to),
    field('days', 'Days at most', { type: 'number', min: '1', max: '366', value: state.days ?? String(DAYS) }),
    el('button', { type: 'submit', class: 'primary' }, 'Show'));
  return form;
}

function answer(layout, state) {
  const { days, total } = layout;
  if (!days.length) return el('p', { class: 'none' }, 'No files in this range of dates.');
  const measure = MEASURES[state.measure] ? state.measure : 'files';
  const mean = total.files ? total.bytes / total.files : 0;
  return el('section', { class: 'answer', 'aria-labelledby': 'stored_title' },
    el('h2', { id: 'stored_title' }, `${plural(total.files, 'file')} in ${plural(days.length, 'day')}`),
    el('ul', { class: 'figures' },
      figure(bytes(total.bytes), 'altogether'), figure(bytes(mean), 'a file on average'),
      figure(percent(total.small_file_score), 'of the files could be merged away'),
      figure(number(layout.unseen), 'files that no query sees')),
    layout.unseen > 0 && el('p', { class: 'wrong' }, 'Some files lie outside the table\u2019s own rules: no query sees them. `alluvium check` says what the rules are.'),
    total.files > 20 && mean < layout.target_bytes / 100 && el('p', { class: 'hint' },
      `Files are small: ${bytes(layout.target_bytes)} would be a good size. Where merging within a folder cannot help, longer buffers or fewer partitions do.`),
    el('nav', { class: 'actions', 'aria-label': 'What the cells show' }, Object.entries(MEASURES).map(([name, { name: words }]) =>
      link({ ...state, measure: name }, { class: 'button', 'data-keep': name, 'aria-current': name === measure ? 'true' : false }, words))),
    grid(layout, MEASURES[measure]),
    el('p', { class: 'actions' }, layout.next && link({ ...state, to: layout.next }, { class: 'button' }, `Older days, from ${dateText(layout.next)}`)),
    panel(layout.statistics));
}

const figure = (value, words) => el('li', {}, el('b', {}, value), ' ', el('span', {}, words));

/** Days down, attributes across. The shade goes by the logarithm, in five steps; the text says the same. */
function grid(layout, measure) {
  const names = [...new Set(layout.days.flatMap((day) => day.attributes.map((one) => one.attribute)))].sort();
  const weights = layout.days.flatMap((day) => day.attributes.map(measure.weight));
  const most = Math.max(...weights, 0);
  const shade = (weight) => (most <= 0 || weight <= 0 ? 0 : Math.max(1, Math.ceil((Math.log1p(weight) / Math.log1p(most)) * 5)));
  const cell = (day, name) => {
    const size = day.attributes.find((one) => one.attribute === name);
    if (!size) return el('td', { class: 'shade-none' }, el('span', { 'aria-hidden': 'true' }, '\u00b7'), unseen('none'));
    const title = `${day.day}, ${name}: ${plural(size.files, 'file')}, ${bytes(size.bytes)}, ${percent(size.small_file_score)} could be merged away`;
    return el('td', { class: `shade-${shade(measure.weight(size))}`, title }, measure.text(size));
  };
  const head = [layout.column, ...names.map((name) => name || 'all'), 'all'].map((name) => el('th', { scope: 'col' }, name));
  const rows = layout.days.map((day) => el('tr', {}, el('th', { scope: 'row' }, day.day), names.map((name) => cell(day, name)), el('td', { class: 'sum' }, measure.text(day))));
  return el('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Days by attributes, scrolls sideways' },
    el('table', { class: 'grid' }, el('caption', {}, `${measure.name} by day and attribute; the stronger the shade, the more`), el('thead', {}, el('tr', {}, head)), el('tbody', {}, rows)));
}
