// What stands in place of an answer: what went wrong, and what to do about it. Kinds that mean different things to whoever asks
// look different: a name that does not exist is not a time that is not covered, and neither is a value that never was.

import { button, el, link } from './dom.js';
import { dateText } from './words.js';

/** What to do about each kind of problem. */
const ADVICE = {
  question: 'Correct what is named above, and ask again.',
  'too-wide': 'Ask for less: a shorter range of dates, or fewer attributes.',
  busy: 'Many questions are being answered right now. Wait a moment, then try again.',
  late: 'It took too long. Ask for less, or try again.',
  environment: 'Nothing is wrong with your question. Try again; if it stays so, tell whoever runs this reader.',
  corrupt: 'Nothing is wrong with your question. Tell whoever runs this reader: its log says what it found.',
  away: 'Check your connection, then try again. If it stays so, tell whoever runs this reader.',
  host: 'Open this page under the address that whoever runs this reader gave you.',
  who: 'Sign in where your company signs in, then open this page again.',
  unknown: 'Check the link, or begin again from the look-up.',
};

const AGAIN = new Set(['busy', 'late', 'environment', 'corrupt', 'away']);

/** A box for something that is no value. `kind` is for those who style or test it. */
export function notice(kind, title, ...body) {
  return el('section', { class: `notice ${kind}`, 'data-kind': kind, 'aria-labelledby': 'answer_title' },
    el('h1', { id: 'answer_title', tabindex: '-1' }, title), ...body);
}

/** A problem as a box. `state` is the page's, `again` asks once more. */
export function problemNotice(problem, state, again) {
  if (problem.kind === 'unknown-attribute') return unknownAttribute(problem.body, state);
  if (problem.kind === 'outside-range') return outsideRange(problem.body, state);
  const title = problem.body.title ?? 'No answer';
  return notice('problem', capital(title),
    el('p', { class: 'detail' }, problem.body.detail ?? ''),
    el('p', {}, ADVICE[problem.kind] ?? 'Try again.'),
    AGAIN.has(problem.kind) && el('p', {}, button('Try again', again, { class: 'primary' })));
}

function unknownAttribute(body, state) {
  const { nearest } = body;
  return notice('unknown-attribute', 'There is no such attribute',
    el('p', {}, 'No entity of this lake has an attribute called ', el('code', {}, state.attribute ?? ''), '.'),
    nearest && el('p', {}, 'Did you mean ', link({ ...state, attribute: nearest, evidence: null }, {}, nearest), '?'),
    el('p', {}, link({}, {}, 'See which attributes there are')));
}

function outsideRange(body, state) {
  const { from, to } = body.range ?? {};
  const undated = { ...state, as_of: null, from: null, to: null, date: null };
  return notice('outside-range', 'Outside the time this lake covers',
    el('p', {}, from ? `It covers ${dateText(from)} to ${dateText(to)}. What was so at another time cannot be told from it: that is not the same as having had no value.` : body.detail),
    el('p', {}, link(undated, {}, 'Ask without that date')));
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
