// Times, sizes and values as people read them. All times are UTC, so that a link says the same to everyone.

import { el, unseen } from './dom.js';

const DAY = 86_400_000;
const part = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options });
const DATE = part({ day: 'numeric', month: 'short', year: 'numeric' });
const TIME = part({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const NUMBER = new Intl.NumberFormat('en-GB');

export const number = (value) => NUMBER.format(value);
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export function dateText(instant) {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? String(instant) : DATE.format(at);
}

export function timeText(instant) {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? String(instant) : `${DATE.format(at)}, ${TIME.format(at)} UTC`;
}

/** A day, with the second in the tooltip. */
export const day = (instant) => el('time', { datetime: instant, title: timeText(instant) }, dateText(instant));
export const moment = (instant) => el('time', { datetime: instant }, timeText(instant));

/** How long ago, in the largest unit that fits. */
export function ago(instant, now = Date.now()) {
  const passed = now - new Date(instant).getTime();
  const units = [['year', 365.25 * DAY], ['month', 30.44 * DAY], ['day', DAY], ['hour', 3_600_000], ['minute', 60_000]];
  for (const [name, length] of units) {
    const count = Math.floor(Math.abs(passed) / length);
    if (count >= 1) return passed < 0 ? `in ${plural(count, name)}` : `${plural(count, name)} ago`;
  }
  return 'just now';
}

/** Ages of values, youngest first: up to so many days, a name, and how many bars of four it has. */
export const AGES = [
  { days: 30, name: 'under a month', level: 4 },
  { days: 365, name: 'under a year', level: 3 },
  { days: 1095, name: 'under 3 years', level: 2 },
  { days: Infinity, name: '3 years or more', level: 1 },
];

export const ageOf = (instant, now) => AGES.find((age) => (now - new Date(instant).getTime()) / DAY < age.days);

export function bytes(count) {
  if (count < 1000) return plural(count, 'byte');
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = '';
  for (const name of units) {
    if (value < 1000 && unit) break;
    value /= 1000;
    unit = name;
  }
  return `${value < 10 ? value.toFixed(1) : number(Math.round(value))} ${unit}`;
}

export function milliseconds(value) {
  if (value < 10) return `${value.toFixed(1)} ms`;
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function dollars(value) {
  if (value === 0) return 'nothing';
  return value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`;
}

/** A value as it is stored; where there is none, words that cannot be taken for one. */
export function valueOf(state, whenNone = 'no value') {
  if (!state || state.operation === 'unset') return el('span', { class: 'none' }, whenNone);
  if (state.value === null || state.value === undefined) return el('span', { class: 'none' }, 'set to nothing');
  if (state.value === '') return el('span', { class: 'none' }, 'empty text');
  return el('span', { class: 'stored' }, state.value);
}

/** Old to new: an arrow to the eye, words to the ear. */
export function change(before, after) {
  return el('span', { class: 'change' },
    unseen('from '), el('span', { class: 'old' }, valueOf(before, 'no value')),
    el('span', { class: 'arrow', 'aria-hidden': 'true' }, ' \u2192 '), unseen(' to '),
    el('span', { class: 'new' }, valueOf(after, 'no value')));
}

/** Where an event was read, in one line; nothing if its row does not say. */
export function sourceText(event) {
  const source = event.details?.source;
  if (typeof source === 'string') return source;
  if (!source || typeof source !== 'object') return null;
  const said = ['path', 'name', 'url', 'repo', 'type'].map((name) => source[name]).find((text) => typeof text === 'string' && text);
  const by = typeof source.author === 'string' && source.author ? `, by ${source.author}` : '';
  return said ? `${said}${by}` : null;
}

export const sourceChip = (event) => {
  const text = sourceText(event);
  return text && el('span', { class: 'chip' }, unseen('source: '), text);
};

/** The rule that made a value, with its version where the row has one. */
export function ruleText(event) {
  if (event.rule === null || event.rule === undefined) return null;
  const version = event.details?.rule_version;
  return version === null || version === undefined ? String(event.rule) : `${event.rule}, version ${version}`;
}

export const evidenceOf = (event) => (Array.isArray(event.evidence) ? event.evidence.filter((one) => one !== null) : []);
