// All attributes of one entity, with how old each value is.

import { ask, paths, save } from './api.js';
import { button, el, link, table, unseen } from './dom.js';
import { remember } from './home.js';
import { notice } from './problem.js';
import { panel } from './statistics.js';
import { AGES, ago, ageOf, day, plural, sourceChip, valueOf } from './words.js';
import { moments } from './value.js';

export async function entity(state, context) {
  const { entity: id, as_of, known_as_of } = state;
  const sheet = await ask(paths.entity(id), { as_of, known_as_of }, context.signal);
  const known = sheet.attributes.filter((one) => one.state !== 'never');
  const title = `Everything about ${id}`;
  if (!known.length) return { title, node: el('div', { class: 'answer' }, nothing(state, sheet), panel(sheet.statistics)), said: `Nothing is known of ${id}.` };
  remember(id, null);
  const without = sheet.attributes.filter((one) => one.state === 'never');
  const now = as_of ? new Date(sheet.as_of).getTime() : Date.now();
  const row = (one) => [
    link({ entity: id, attribute: one.attribute, as_of, known_as_of }, {}, one.attribute),
    valueOf(one, 'no value: removed'),
    since(one, now),
    one.previous ? valueOf(one.previous) : el('span', { class: 'none' }, 'nothing'),
    sourceChip(one) ?? '',
    link({ ...state, of_attribute: one.attribute, evidence: one.reference }, { class: 'evidence-link' }, 'Evidence', unseen(` of ${one.attribute}`)),
  ];
  const node = el('section', { class: 'answer', 'aria-labelledby': 'answer_title' },
    el('h1', { id: 'answer_title', tabindex: '-1' }, id), moments(state), legend(),
    table(`${plural(known.length, 'attribute')} of ${id}`, ['Attribute', 'Value', 'Last change', 'Before that', 'Source', 'Record'], known.map(row), { class: 'cards sheet' }),
    without.length > 0 && el('p', { class: 'hint' }, 'Never had a value: ',
      without.map((one, at) => [at ? ', ' : '', link({ entity: id, attribute: one.attribute, as_of, known_as_of }, {}, one.attribute)])),
    el('div', { class: 'actions' },
      link({ view: 'compare', entity: id }, { class: 'button' }, 'Compare two dates'),
      button('Copy link', () => context.copyLink()),
      button('Save as CSV', () => save(paths.entity(id), { as_of, known_as_of, format: 'csv' }, 'entity.csv'))),
    panel(sheet.statistics));
  return { title, node, said: `${plural(known.length, 'attribute')} of ${id}.` };
}

/** Bars beside the words: more of them, the younger. Colour says it a third time. */
function bars(age) {
  return el('span', { class: `age age-${age.level}`, 'aria-hidden': 'true' },
    [1, 2, 3, 4].map((at) => el('i', { class: at <= age.level ? 'on' : 'off' })));
}

function since(one, now) {
  const age = ageOf(one.since, now);
  return el('span', { class: 'since' }, bars(age), ' ', day(one.since), ' ', el('span', { class: 'hint' }, ago(one.since, now)));
}

function legend() {
  return el('ul', { class: 'legend', 'aria-label': 'How long ago the last change was' },
    AGES.map((age) => el('li', {}, bars(age), ` ${age.name}`)));
}

function nothing(state, sheet) {
  const dated = state.as_of || state.known_as_of;
  return notice('never', dated ? 'Nothing was known of it yet' : 'Nothing is known of it',
    el('p', {}, 'Of ', el('span', { class: 'stored' }, state.entity), ` none of the ${plural(sheet.attributes.length, 'attribute')} ever had a value${dated ? ' at that time' : ''}.`),
    dated ? el('p', {}, link({ entity: state.entity }, {}, 'Ask without that date')) : el('p', {}, 'Is the id spelled right? Ids are told apart letter by letter.'));
}
