// The first page: what was looked up lately, and what there is to ask about.

import { aboutTable } from './api.js';
import { button, el, link } from './dom.js';
import { dateText, plural } from './words.js';

const KEPT = 'alluvium.recent';
const KEPT_MAX = 8;

export function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    return Array.isArray(kept) ? kept.filter((one) => typeof one?.entity === 'string') : [];
  } catch {
    return [];
  }
}

export function remember(entity, attribute) {
  const same = (one) => one.entity === entity && (one.attribute ?? null) === (attribute ?? null);
  const kept = [{ entity, attribute }, ...recent().filter((one) => !same(one))].slice(0, KEPT_MAX);
  localStorage.setItem(KEPT, JSON.stringify(kept));
}

export async function home() {
  const table = await aboutTable();
  const node = el('div', { class: 'home' },
    el('h1', { id: 'answer_title', tabindex: '-1' }, 'Why does it say that?'),
    el('p', { class: 'lead' }, 'Name an entity and one of its attributes. You get its value, since when, what it was before, where that came from, and the record it rests on.'),
    lately(), attributes(table), covered(table));
  return { title: 'Look up', node, said: '' };
}

function lately() {
  const kept = recent();
  if (!kept.length) return null;
  const section = el('section', {}, el('h2', {}, 'Looked up lately'),
    el('ul', { class: 'plain' }, kept.map(({ entity, attribute }) =>
      el('li', {}, link({ entity, attribute }, {}, attribute ? `${attribute} of ${entity}` : `everything about ${entity}`)))));
  section.append(button('Forget these', () => { localStorage.removeItem(KEPT); section.remove(); }, { class: 'quiet' }));
  return section;
}

function attributes(table) {
  if (!table.attributes) return null;
  return el('section', {}, el('h2', {}, `${plural(table.attributes.length, 'attribute')}`),
    el('p', {}, 'Choose one to see what changed in it lately.'),
    el('ul', { class: 'chips' }, table.attributes.map((attribute) => el('li', {}, link({ view: 'changes', attribute }, { class: 'chip' }, attribute)))));
}

function covered(table) {
  const { from, to } = table.range;
  return el('p', { class: 'hint' },
    from ? `The lake covers ${dateText(from)} to ${dateText(to)}. ` : '',
    table.archive ? 'Raw records are kept.' : 'Raw records are not kept.');
}
