// Elements out of names and values. Whatever is stored becomes text and never markup: there is no other way to make an element here.

const SVG = 'http://www.w3.org/2000/svg';

/** An element; `attributes.on` holds listeners, false and null leave an attribute out. Children are elements or text. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Text for screen readers alone. */
export const unseen = (text) => el('span', { class: 'unseen' }, text);

/** A state of the page as a link: parameters without the empty ones. */
export function href(params) {
  const kept = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(kept).toString();
  return query ? `?${query}` : '/';
}

export function link(params, attributes, ...children) {
  return el('a', { href: href(params), 'data-route': true, ...attributes }, ...children);
}

export function button(label, onClick, attributes = {}) {
  return el('button', { type: 'button', ...attributes, on: { click: onClick } }, label);
}

/** A labelled input. */
export function field(name, label, attributes = {}, hint = '') {
  const id = attributes.id ?? `f_${name}`;
  const described = hint ? `${id}_hint` : null;
  return el('div', { class: attributes.grow ? 'field grow' : 'field' },
    el('label', { for: id }, label),
    el('input', { ...attributes, grow: null, id, name, 'aria-describedby': described }),
    hint && el('p', { class: 'hint', id: described }, hint));
}

/** A day, or the whole instant where a link holds one: a date field cannot show that. */
export function timeField(name, label, value, hint = '', attributes = {}) {
  const whole = value && !/^\d{4}-\d{2}-\d{2}$/.test(value);
  return field(name, label, { type: whole ? 'text' : 'date', value: value ?? '', spellcheck: 'false', ...attributes }, hint);
}

/** What a form says, by name, without what was left empty. */
export function answersOf(form) {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
}

/** Names and what is so of each; those with nothing to say are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return el('dl', { class: 'facts' }, shown.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

/** A table that stays one for screen readers when it is laid out as cards on narrow screens. */
export function table(caption, columns, rows, attributes = {}) {
  const head = columns.map((name) => el('th', { scope: 'col', role: 'columnheader' }, name));
  const cell = (value, at) => at === 0
    ? el('th', { scope: 'row', role: 'rowheader' }, value)
    : el('td', { role: 'cell', 'data-label': columns[at] }, value);
  return el('table', { role: 'table', class: 'cards', ...attributes },
    el('caption', {}, caption),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, head)),
    el('tbody', { role: 'rowgroup' }, rows.map((row) => el('tr', { role: 'row' }, row.map(cell)))));
}
