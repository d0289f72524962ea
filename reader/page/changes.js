// What changed in one attribute on a day, over all entities.

import { Problem, aboutTable, ask, paths, save } from './api.js';
import { answersOf, button, el, field, link, timeField, unseen } from './dom.js';
import { panel } from './statistics.js';
import { change, dateText, plural, sourceChip, valueOf, timeText } from './words.js';

const PAGE = 100;

/** Days that are looked through for the newest change. */
const DAYS = 90;

export async function changes(state, context) {
  const table = await aboutTable();
  const head = el('div', {}, el('h1', { id: 'answer_title', tabindex: '-1' }, 'What changed lately'), questions(state, context));
  const title = state.attribute ? `Changes of ${state.attribute}` : 'Changes';
  if (!state.attribute) return { title, head, node: choose(table), said: '' };
  return { title, head, node: feed(state, context), said: null };
}

function questions(state, context) {
  const form = el('form', { class: 'controls', 'aria-label': 'Which changes', on: { submit: (event) => {
    event.preventDefault();
    context.go({ view: 'changes', ...answersOf(form) });
  } } },
    field('attribute', 'Attribute', { id: 'changes_attribute', required: true, list: 'attributes', value: state.attribute ?? '', spellcheck: 'false', autocapitalize: 'none', grow: true }),
    timeField('date', 'Day', state.date),
    el('button', { type: 'submit', class: 'primary' }, 'Show'));
  return form;
}

function choose(table) {
  if (!table.attributes) return el('p', {}, 'Name an attribute.');
  return el('div', {}, el('p', { class: 'lead' }, 'Choose an attribute to see its newest changes.'),
    el('ul', { class: 'chips' }, table.attributes.map((attribute) => el('li', {}, link({ view: 'changes', attribute }, { class: 'chip' }, attribute)))));
}

async function feed(state, context) {
  const { attribute } = state;
  // Other days are a help: where they cannot be had, the day that is asked for is answered all the same.
  const days = await daysOf(attribute, context.signal).catch((error) => {
    if (state.date && error instanceof Problem) return [];
    throw error;
  });
  const date = state.date ?? days[0];
  if (!date) {
    // Asked all the same, so that a name that is none is told as such.
    await ask(paths.changes(attribute), { date: new Date().toISOString().slice(0, 10), limit: 1 }, context.signal);
    return { node: el('p', { class: 'none' }, 'Nothing is stored of this attribute in the newest days. Choose a day.'), said: 'No changes.' };
  }
  if (!state.date) context.settle({ ...state, date });
  const limit = Math.max(PAGE, Number.parseInt(state.shown ?? '', 10) || PAGE);
  const found = await ask(paths.changes(attribute), { date, limit, known_as_of: state.known_as_of, previous: state.before === '1' ? 'true' : null }, context.signal);
  const place = { ...state, date };
  const count = `${found.next ? 'The newest ' : ''}${plural(found.events.length, 'change')} of ${attribute} on ${dateText(date)}`;
  const node = el('section', { class: 'answer', 'aria-labelledby': 'feed_title' },
    el('h2', { id: 'feed_title' }, found.events.length ? count : `No change of ${attribute} on ${dateText(date)}`),
    neighbours(days, place),
    el('ol', { class: 'feed' }, found.events.map((event) => entry(event, place))),
    el('p', { class: 'actions' },
      found.next && link({ ...place, shown: limit + PAGE }, { class: 'button', 'data-keep': 'more' }, 'Show more'),
      state.before !== '1' && found.events.length > 0 && link({ ...place, before: '1' }, { class: 'button', 'data-keep': 'before' }, 'Show what each was before'),
      button('Copy link', () => context.copyLink()),
      button('Save as CSV', () => save(paths.changes(attribute), { date, limit: state.before === '1' ? 1000 : 100_000, previous: state.before === '1' ? 'true' : null, format: 'csv' }, 'changes.csv'))),
    panel(found.statistics));
  return { node, said: count };
}

/** Days of which files of this attribute are there, newest first. */
async function daysOf(attribute, signal) {
  const layout = await ask('/v1/layout', { limit: DAYS }, signal);
  const has = (day) => day.attributes.some((one) => one.attribute === attribute || one.attribute === '');
  return layout.days.filter(has).map((day) => day.day).filter((day) => /^\d{4}-\d{2}-\d{2}$/.test(day));
}

/** The days before and after that have changes too. */
function neighbours(days, state) {
  const older = days.find((day) => day < state.date);
  const newer = [...days].reverse().find((day) => day > state.date);
  return el('nav', { class: 'actions', 'aria-label': 'Other days' },
    older && link({ ...state, date: older, shown: null }, { class: 'button' }, unseen('earlier day: '), `\u2190 ${dateText(older)}`),
    newer && link({ ...state, date: newer, shown: null }, { class: 'button' }, unseen('later day: '), `${dateText(newer)} \u2192`));
}

/** Old to new where it was asked for, else the new. */
function what(event) {
  if (event.repeats) return ['said again: ', valueOf(event)];
  if ('previous' in event) return change(event.previous, event);
  return event.operation === 'unset' ? el('span', { class: 'none' }, 'value removed') : valueOf(event);
}

function entry(event, state) {
  return el('li', {},
    el('p', { class: 'what' },
      link({ entity: event.entity, attribute: event.attribute }, { class: 'whose' }, event.entity), ' ',
      what(event)),
    el('p', { class: 'from' }, el('time', { datetime: event.at }, timeText(event.at)), sourceChip(event),
      link({ ...state, of_entity: event.entity, evidence: event.reference }, { class: 'evidence-link' }, 'Evidence', unseen(` of ${event.entity}`))));
}
