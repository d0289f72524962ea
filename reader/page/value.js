// One attribute of one entity: what it is, since when, why; and what it has been.

import { ask, paths, save, saveBlob } from './api.js';
import { answersOf, button, el, facts, link, timeField, unseen } from './dom.js';
import { remember } from './home.js';
import { notice } from './problem.js';
import { sparkline } from './spark.js';
import { panel } from './statistics.js';
import { ago, change, dateText, day, evidenceOf, moment, plural, ruleText, sourceChip, sourceText, valueOf } from './words.js';

/** Changes shown at first, and more with each further page. */
const PAGE = 50;

export async function value(state, context) {
  const { entity, attribute, as_of, known_as_of } = state;
  const path = paths.attribute(entity, attribute);
  const shown = Math.max(PAGE, Number.parseInt(state.shown ?? '', 10) || PAGE);
  const asked = {
    known_as_of, from: state.from, to: state.to ?? as_of, limit: shown,
    changes_only: state.repeats === '1' ? 'false' : null,
  };
  const [explanation, history] = await Promise.all([
    ask(path, { as_of, known_as_of }, context.signal),
    ask(`${path}/history`, asked, context.signal),
  ]);
  remember(entity, attribute);
  const never = explanation.state === 'never';
  const node = el('div', { class: 'answer' }, card(explanation, state, context), panel(explanation.statistics),
    !never && timeline(history, state, shown, context),
    !never && panel(history.statistics, 'How the history was read'));
  return { title: `${attribute} of ${entity}`, node, said: spoken(explanation) };
}

function spoken(explanation) {
  const { attribute, entity } = explanation;
  if (explanation.state === 'never') return `${entity} never had a value for ${attribute}.`;
  if (explanation.state === 'unset') return `${attribute} of ${entity} has no value.`;
  return `${attribute} of ${entity} is ${explanation.value ?? 'set to nothing'}, since ${dateText(explanation.since)}.`;
}

function card(explanation, state, context) {
  if (explanation.state === 'never') return never(explanation, state);
  const kind = explanation.state === 'unset' ? 'unset' : 'set';
  const has = kind === 'set'
    ? el('p', { class: 'value' }, valueOf(explanation))
    : el('p', { class: 'value' }, el('span', { class: 'none' }, 'No value'));
  return el('section', { class: `card ${kind}`, 'data-kind': kind, 'aria-labelledby': 'answer_title' },
    heading(explanation), moments(state), has, lead(explanation),
    facts([
      ['Before that', explanation.previous ? valueOf(explanation.previous) : 'nothing: this was its first value'],
      ['Rule', ruleText(explanation)],
      ['Source', sourceText(explanation)],
      ['Its message', explanation.details?.source?.message],
      ['Evidence', strongest(explanation)],
      ['Said again', explanation.confirmations > 0 && `${plural(explanation.confirmations, 'time')}, last on ${dateText(explanation.last_seen)}`],
      ['Last heard of it', explanation.freshness.last_arrived_at && el('span', {}, moment(explanation.freshness.last_arrived_at), ` (${ago(explanation.freshness.last_arrived_at)})`)],
    ]),
    el('div', { class: 'actions' },
      link({ ...state, evidence: explanation.reference }, { class: 'button primary' }, 'Show the evidence'),
      button('Copy link', () => context.copyLink()),
      button('Save as JSON', () => saveBlob(new Blob([JSON.stringify(explanation, null, 2)], { type: 'application/json' }), 'explanation.json')),
      link({ entity: state.entity, as_of: state.as_of, known_as_of: state.known_as_of }, { class: 'button' }, `Everything about ${state.entity}`)));
}

const heading = ({ attribute, entity }) => el('h1', { id: 'answer_title', tabindex: '-1' },
  el('span', { class: 'of' }, attribute), ' ', el('span', { class: 'whose' }, unseen('of '), entity));

/** The other times that were asked for, so that nobody takes them for now. */
export function moments({ as_of, known_as_of }) {
  if (!as_of && !known_as_of) return null;
  const said = [as_of && `as it was on ${as_of}`, known_as_of && `as known by ${known_as_of}`].filter(Boolean).join(', ');
  return el('p', { class: 'moment' }, said.charAt(0).toUpperCase() + said.slice(1));
}

function lead(explanation) {
  const until = explanation.until ? [', until ', day(explanation.until)] : '';
  if (explanation.state === 'unset') return el('p', { class: 'lead' }, 'Removed ', day(explanation.since), ` (${ago(explanation.since)})`, until, '.');
  return el('p', { class: 'lead' }, 'Since ', day(explanation.since), ` (${ago(explanation.since)})`, until, '.');
}

/** The two items that score highest. */
function strongest(explanation) {
  const items = evidenceOf(explanation).filter((one) => typeof one === 'object');
  if (!items.length) return null;
  const best = [...items].sort((a, b) => (b.score ?? 0) - (a.score ?? 0)).slice(0, 2);
  const line = (one) => el('li', { class: 'stored' }, one.excerpt ?? one.source ?? JSON.stringify(one), one.score === null || one.score === undefined ? '' : ` (score ${one.score})`);
  return el('ul', { class: 'plain' }, best.map(line), items.length > 2 && el('li', {}, `and ${plural(items.length - 2, 'more', 'more')}`));
}

function never(explanation, state) {
  const { entity, attribute } = explanation;
  const dated = state.as_of || state.known_as_of;
  const when = [state.as_of && `by ${state.as_of}`, state.known_as_of && `as known by ${state.known_as_of}`].filter(Boolean).join(', ');
  const sentence = dated
    ? `Nothing is recorded of ${attribute} for this entity ${when}. It may have got a value later.`
    : `${attribute} is an attribute of this lake, but nothing was ever recorded of it for this entity.`;
  return notice('never', dated ? 'Had no value yet' : 'Never had a value',
    el('p', {}, el('span', { class: 'stored' }, entity), ': ', sentence),
    dated && el('p', {}, link({ entity, attribute }, {}, 'Ask without that date')),
    el('p', {}, 'Is the id spelled right? ', link({ entity }, {}, `See everything about ${entity}`)));
}

function timeline(history, state, shown, context) {
  const { versions } = history;
  const section = el('section', { class: 'timeline', 'aria-labelledby': 'timeline_title' },
    el('h2', { id: 'timeline_title' }, 'What it has been'),
    state.as_of && !state.to && el('p', { class: 'hint' }, `Changes up to ${state.as_of}. `, link({ ...state, as_of: null }, {}, 'Show all')),
    controls(state, context), sparkline(versions, state.to || state.as_of ? null : Date.now()));
  if (!versions.length) {
    section.append(el('p', { class: 'none' }, 'No change in this range of dates.'));
    return section;
  }
  section.append(el('ol', { class: 'changes' }, versions.map((version) => entry(version, state))));
  section.append(el('p', { class: 'actions' },
    history.next
      ? link({ ...state, shown: shown + PAGE }, { class: 'button', 'data-keep': 'older' }, 'Show older changes')
      : el('span', { class: 'hint' }, 'That is all of it.'),
    button('Save as CSV', () => save(`${paths.attribute(state.entity, state.attribute)}/history`,
      { known_as_of: state.known_as_of, from: state.from, to: state.to ?? state.as_of, changes_only: state.repeats === '1' ? 'false' : null, limit: 100_000, format: 'csv' }, 'history.csv'))));
  return section;
}

function controls(state, context) {
  const form = el('form', { class: 'controls', 'aria-label': 'Which changes', on: { submit: (event) => {
    event.preventDefault();
    const { from, to } = answersOf(form);
    context.go({ ...state, from, to, shown: null });
  } } },
    timeField('from', 'From', state.from), timeField('to', 'To', state.to),
    el('button', { type: 'submit' }, 'Show these dates'),
    link({ ...state, repeats: state.repeats === '1' ? null : '1' }, { class: 'button', 'data-keep': 'repeats' }, state.repeats === '1' ? 'Fold repeats' : 'Show repeats'));
  return form;
}

function entry(version, state) {
  const repeats = version.confirmations > 0 && el('p', { class: 'repeats' },
    `Said again ${plural(version.confirmations, 'time')}, last on `, day(version.last_seen), '. ',
    state.repeats !== '1' && link({ ...state, repeats: '1' }, { 'data-keep': 'repeats' }, 'Show each'));
  const same = version.previous && version.previous.value === version.value && version.previous.operation === version.operation;
  return el('li', { class: version.operation === 'unset' ? 'change-item unset' : 'change-item' },
    el('p', { class: 'when' }, moment(version.since), el('span', { class: 'hint' }, ` ${ago(version.since)}`)),
    el('p', { class: 'what' }, same ? ['said again: ', valueOf(version)] : change(version.previous, version)),
    el('p', { class: 'from' }, sourceChip(version), ruleText(version) && el('span', { class: 'chip' }, unseen('rule: '), ruleText(version)),
      link({ ...state, evidence: version.reference }, { class: 'evidence-link' }, 'Evidence', unseen(` of the change of ${dateText(version.since)}`)),
      link({ entity: state.entity, as_of: version.since }, {}, 'Everything then', unseen(`, on ${dateText(version.since)}`))),
    repeats);
}
