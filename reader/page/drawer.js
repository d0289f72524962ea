// The evidence of one change: what its row says it rests on, where it lies, and the raw record, laid out and byte for byte.

import { Problem, ask, askBytes, paths, saveBlob } from './api.js';
import { button, byId, el, facts } from './dom.js';
import { hex, pretty } from './json.js';
import { problemNotice } from './problem.js';
import { bytes, evidenceOf, moment, plural, ruleText, sourceText, valueOf } from './words.js';

/** Shows the drawer for an event, or closes it where the page's state has none. `leave` goes back to the state without. */
export class Drawer {
  constructor(leave) {
    this.dialog = byId('drawer');
    this.shown = null;
    this.dialog.addEventListener('close', () => {
      if (this.shown === null) return;
      this.shown = null;
      leave();
    });
    // A click beside the drawer closes it, as Escape does.
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  async show(state) {
    const wanted = state.evidence ? JSON.stringify([state.of_entity ?? state.entity, state.of_attribute ?? state.attribute, state.evidence]) : null;
    if (wanted === this.shown) return;
    this.shown = wanted;
    if (wanted === null) {
      this.dialog.close();
      return;
    }
    const [entity, attribute, reference] = JSON.parse(wanted);
    this.fill(el('p', { class: 'loading' }, 'Reading the record\u2026'));
    if (!this.dialog.open) this.dialog.showModal();
    const again = () => { this.shown = ''; this.show(state); };
    const body = await content(entity, attribute, reference).catch((error) => {
      if (!(error instanceof Problem)) throw error;
      return problemNotice(error, { ...state, entity, attribute }, again);
    });
    if (this.shown === wanted) this.fill(body);
  }

  fill(...body) {
    const close = button('Close', () => this.dialog.close(), { class: 'close' });
    const title = el('h2', { id: 'drawer_title', tabindex: '-1' }, 'Evidence');
    this.dialog.replaceChildren(el('header', { class: 'drawer-head' }, title, close), el('div', { class: 'drawer-body' }, ...body));
    title.focus();
  }
}

async function content(entity, attribute, reference) {
  const path = `${paths.attribute(entity, attribute)}/versions/${encodeURIComponent(reference)}`;
  const version = await ask(path);
  const raw = version.record ? await askBytes(`${path}/record`) : null;
  const parts = [summary(version), rests(version)];
  parts.push(raw ? await record(version.record, raw) : el('section', {}, el('h3', {}, 'Raw record'), el('p', { class: 'none' }, `Not here: ${version.missing}.`)));
  parts.push(row(version));
  return el('div', {}, ...parts);
}

function summary(version) {
  return el('section', {}, facts([
    ['Entity', el('span', { class: 'stored' }, version.entity)],
    ['Attribute', el('span', { class: 'stored' }, version.attribute)],
    [version.operation === 'unset' ? 'Change' : 'Set to', version.operation === 'unset' ? 'value removed' : valueOf(version)],
    ['Took effect', version.at && moment(version.at)],
    ['Arrived', version.arrived_at && moment(version.arrived_at)],
    ['Rule', ruleText(version)],
    ['Source', sourceText(version)],
  ]));
}

/** The items that the row names as evidence. */
function rests(version) {
  const items = evidenceOf(version);
  const whole = version.evidence !== null && items.length === 0 && !Array.isArray(version.evidence);
  if (!items.length && !whole) return el('section', {}, el('h3', {}, 'What it rests on'), el('p', { class: 'none' }, 'The event names no evidence of its own. Its raw record is below.'));
  const list = whole ? [version.evidence] : items;
  return el('section', {}, el('h3', {}, 'What it rests on'), el('ol', { class: 'evidence' }, list.map(item)));
}

function item(one) {
  if (typeof one !== 'object') return el('li', { class: 'stored' }, String(one));
  const { source, url, excerpt, score, observed_at: seen, ...rest } = one;
  const others = Object.entries(rest).filter(([, value]) => value !== null);
  return el('li', {},
    excerpt && el('blockquote', { class: 'stored' }, excerpt),
    facts([
      ['Source', source && el('span', { class: 'stored' }, source)],
      ['Address', url && address(url)],
      ['Score', score === null || score === undefined ? null : String(score)],
      ['Seen', seen && moment(seen)],
      ...others.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    ]));
}

/** A link only where it leads to a web page: other schemes could run something. */
function address(text) {
  let url = null;
  try {
    url = new URL(text);
  } catch {
    return el('span', { class: 'stored' }, text);
  }
  if (!['http:', 'https:'].includes(url.protocol)) return el('span', { class: 'stored' }, text);
  return el('a', { href: url.href, rel: 'noopener noreferrer', target: '_blank' }, text, ' (opens a new tab)');
}

async function record(kept, raw) {
  const text = decode(raw);
  const exact = el('pre', { class: 'record exact', id: 'record_exact', tabindex: '0', 'aria-label': 'The record, byte for byte' }, text ?? hex(raw));
  const same = await isSame(raw, kept.sha256);
  return el('section', { class: 'raw' }, el('h3', {}, 'Raw record'),
    el('p', {}, plural(kept.bytes, 'byte'), kept.bytes < 1000 ? '' : ` (${bytes(kept.bytes)})`, ', arrived ', moment(kept.arrived_at), '.'),
    text !== null && pretty(text),
    el('details', { open: text === null }, el('summary', {}, 'Exact bytes'), exact,
      el('details', {}, el('summary', {}, 'As hexadecimal'), el('pre', { class: 'record', tabindex: '0', 'aria-label': 'The record in hexadecimal' }, hex(raw)))),
    facts([
      ['Kept in', el('code', {}, kept.object)],
      ['SHA-256', el('code', {}, kept.sha256)],
      ['Checked here', same],
    ]),
    button('Save the record', () => saveBlob(new Blob([raw], { type: 'application/octet-stream' }), 'record')));
}

/** The bytes as text; nothing where they are none. A mark at the beginning stays. */
function decode(raw) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return null;
  }
}

/** Browsers hash only on secure addresses. */
async function isSame(raw, wanted) {
  if (!globalThis.crypto?.subtle) return 'not possible at this address';
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', raw));
  const found = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return found === wanted ? 'these are the bytes of that sum' : 'the bytes here have another sum';
}

function row(version) {
  const columns = Object.entries(version.columns).filter(([, value]) => value !== null);
  return el('section', {}, el('h3', {}, 'Stored row'),
    facts([['File', el('code', {}, version.file)], ['Shard', version.place && el('code', {}, version.place.shard)], ['Position', version.place && el('code', {}, version.place.position)]]),
    el('details', {}, el('summary', {}, `All ${columns.length} columns that have a value`),
      facts(columns.map(([name, value]) => [name, el('span', { class: 'stored' }, typeof value === 'string' ? value : JSON.stringify(value))]))));
}

