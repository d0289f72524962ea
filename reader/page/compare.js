// An entity at two dates: only what differs.

import { ask, paths, save } from './api.js';
import { answersOf, button, el, field, link, table, timeField } from './dom.js';
import { remember } from './home.js';
import { panel } from './statistics.js';
import { change, dateText, day, plural } from './words.js';

export async function compare(state, context) {
  const form = questions(state, context);
  const title = state.entity ? `Compare ${state.entity}` : 'Compare two dates';
  const head = el('div', {}, el('h1', { id: 'answer_title', tabindex: '-1' }, 'Compare two dates'), form);
  if (!state.entity || !state.from || !state.to) {
    const lead = el('p', { class: 'lead' }, 'Name an entity and two dates. You get what was another at the end of the second day than at the end of the first.');
    return { title, head, node: el('div', {}, lead), said: '' };
  }
  // What is wrong with the dates is told below the form, which stays.
  const result = ask(`${paths.entity(state.entity)}/diff`, { from: state.from, to: state.to, known_as_of: state.known_as_of }, context.signal);
  const node = result.then((diff) => {
    remember(state.entity, null);
    return answer(diff, state, context);
  });
  return { title, head, node, said: null };
}

function questions(state, context) {
  const form = el('form', { class: 'controls', 'aria-label': 'What to compare', on: { submit: (event) => {
    event.preventDefault();
    context.go({ view: 'compare', known_as_of: state.known_as_of, ...answersOf(form) });
  } } },
    field('entity', 'Entity', { id: 'compare_entity', required: true, value: state.entity ?? '', spellcheck: 'false', autocapitalize: 'none', grow: true }),
    timeField('from', 'First date', state.from, '', { required: true }),
    timeField('to', 'Second date', state.to, '', { required: true }),
    el('button', { type: 'submit', class: 'primary' }, 'Compare'));
  return form;
}

function answer(diff, state, context) {
  const { changed, unchanged } = diff;
  const row = (one) => [
    link({ entity: state.entity, attribute: one.attribute, as_of: state.to, known_as_of: state.known_as_of }, {}, one.attribute),
    change(shown(one.before), shown(one.after)),
    one.after.since ? day(one.after.since) : '',
    String(one.changes),
    one.after.reference ? link({ ...state, of_attribute: one.attribute, evidence: one.after.reference }, { class: 'evidence-link' }, 'Evidence') : '',
  ];
  const dates = `between ${dateText(diff.from)} and ${dateText(diff.to)}`;
  const node = el('section', { class: 'answer', 'aria-labelledby': 'compared_title' },
    el('h2', { id: 'compared_title' }, changed.length
      ? `${plural(changed.length, 'attribute')} of ${diff.entity} changed ${dates}`
      : `Nothing of ${diff.entity} changed ${dates}`),
    changed.length > 0 && table('What changed', ['Attribute', 'Then and later', 'Since', 'Changes', 'Record'], changed.map(row)),
    unchanged.length > 0 && el('details', {}, el('summary', {}, `${plural(unchanged.length, 'attribute')} the same at both dates`),
      el('ul', { class: 'chips' }, unchanged.map((name) => el('li', {}, link({ entity: state.entity, attribute: name, as_of: state.to }, { class: 'chip' }, name))))),
    el('div', { class: 'actions' },
      button('Copy link', () => context.copyLink()),
      button('Save as CSV', () => save(`${paths.entity(state.entity)}/diff`, { from: state.from, to: state.to, known_as_of: state.known_as_of, format: 'csv' }, 'compared.csv'))),
    panel(diff.statistics));
  return { node, said: `${plural(changed.length, 'attribute')} changed.` };
}

/** An attribute that never had a value is compared as one without. */
const shown = (side) => (side.state === 'never' ? null : side);
