// What an answer took: a line for everyone, and the whole of it behind.

import { el, facts } from './dom.js';
import { bytes, dollars, milliseconds, number, plural } from './words.js';

const PARTS = [
  ['planning_ms', 'working out where to look', 'plan'],
  ['listing_ms', 'listing folders', 'list'],
  ['scan_ms', 'reading files', 'scan'],
];

/** Planning that takes more of the time than this is worth a word. */
const PLANNING_SHARE = 0.3;
const PLANNING_MS = 20;

/** One panel for one answer. */
export function panel(statistics, what = 'How this was answered') {
  if (!statistics) return null;
  const total = PARTS.reduce((sum, [name]) => sum + statistics[name], 0);
  const line = `${milliseconds(total)}, ${plural(statistics.files, 'file')}, ${bytes(statistics.bytes_in_files)}, cost ${dollars(statistics.cost_usd)}`;
  return el('details', { class: 'panel' },
    el('summary', {}, el('span', { class: 'panel-name' }, what), ' ', el('span', { class: 'panel-line' }, line)),
    times(statistics, total),
    facts([
      ['Partitions the rules allow', number(statistics.folders_projected)],
      ['of them looked into', number(statistics.folders_listed)],
      ['of them with files', number(statistics.folders_nonempty)],
      ['Files', `${number(statistics.files)}, ${bytes(statistics.bytes_in_files)} in size`],
      ['Opened of them', number(statistics.files_opened)],
      ['Read from them', bytes(statistics.bytes_scanned)],
      ['Rows', number(statistics.rows)],
      ['Listing requests', number(statistics.lists)],
      ['Cost of the requests', dollars(statistics.cost_usd)],
      ['Read by', statistics.engine],
    ]),
    advice(statistics, total));
}

/** Planning against reading, as a bar and in words. */
function times(statistics, total) {
  const shown = PARTS.filter(([name]) => statistics[name] > 0);
  const bar = el('div', { class: 'bar', 'aria-hidden': 'true' }, shown.map(([name, , css]) => {
    const piece = el('span', { class: css });
    piece.style.flexGrow = String(Math.max(statistics[name] / Math.max(total, 0.001), 0.01));
    return piece;
  }));
  const words = el('ul', { class: 'key' }, PARTS.map(([name, words, css]) =>
    el('li', {}, el('span', { class: `swatch ${css}`, 'aria-hidden': 'true' }), `${milliseconds(statistics[name])} ${words}`)));
  return el('div', { class: 'times' }, bar, words);
}

function advice(statistics, total) {
  if (statistics.planning_ms < PLANNING_MS || statistics.planning_ms < total * PLANNING_SHARE) return null;
  return el('p', { class: 'hint' }, 'Much of the time went into working out where to look. A shorter range of dates helps.');
}
