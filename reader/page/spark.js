// Numbers over time as a small drawing: a step for each change, since a value holds until the next one.

import { el, svg } from './dom.js';
import { dateText } from './words.js';

const [WIDTH, HEIGHT, EDGE] = [600, 72, 6];

/** Fewer numbers than this are no course. */
const POINTS_MIN = 3;

const NUMBER = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** The numbers among versions, oldest first; nothing where too few of them are numbers. */
export function points(versions) {
  const found = versions.filter((version) => version.operation === 'set' && NUMBER.test(version.value ?? ''))
    .map((version) => ({ at: new Date(version.since).getTime(), since: version.since, text: version.value, value: Number(version.value) }))
    .filter((point) => Number.isFinite(point.value) && Number.isFinite(point.at));
  const sets = versions.filter((version) => version.operation === 'set').length;
  return found.length >= POINTS_MIN && found.length === sets ? found.reverse() : null;
}

/** The drawing up to `until`, with what it shows in words. */
export function sparkline(versions, until) {
  const all = points(versions);
  if (!all) return null;
  const values = all.map((point) => point.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const textOf = (value) => all.find((point) => point.value === value).text;
  const [first, last] = [all[0], all[all.length - 1]];
  const words = `From ${first.text} on ${dateText(first.since)} to ${last.text} on ${dateText(last.since)}; lowest ${textOf(low)}, highest ${textOf(high)}, ${all.length} values.`;
  const end = Math.max(until ?? 0, last.at);
  const x = (point) => EDGE + ((point.at - first.at) / Math.max(end - first.at, 1)) * (WIDTH - 2 * EDGE);
  const y = (point) => HEIGHT - EDGE - ((point.value - low) / Math.max(high - low, Number.MIN_VALUE)) * (HEIGHT - 2 * EDGE);
  const steps = all.map((point, at) => (at === 0 ? `M${x(point)} ${y(point)}` : `H${x(point)}V${y(point)}`)).join('') + `H${x({ at: end })}`;
  const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': words, class: 'spark', preserveAspectRatio: 'none' },
    svg('path', { d: steps, class: 'course', 'vector-effect': 'non-scaling-stroke' }));
  return el('figure', { class: 'sparkline' }, drawing, el('figcaption', {}, words));
}
