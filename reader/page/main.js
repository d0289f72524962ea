// The page: its state is the address and nothing else, so that back, forward and a link sent to someone show the same.
//
// A state without `view` is a look-up: `entity` with `attribute` is one value, `entity` alone everything about it. `evidence` opens
// the drawer over whatever is shown.

import { Problem, aboutTable } from './api.js';
import { changes } from './changes.js';
import { compare } from './compare.js';
import { Drawer } from './drawer.js';
import { answersOf, byId, el, href } from './dom.js';
import { entity } from './entity.js';
import { home } from './home.js';
import { problemNotice } from './problem.js';
import { storage } from './storage.js';
import { value } from './value.js';

/** What belongs to the drawer, not to what lies beneath it. */
const OF_DRAWER = ['evidence', 'of_entity', 'of_attribute'];

/** Milliseconds after which waiting is said. */
const WAIT_MS = 250;

/** Milliseconds for which a message stands there. */
const TOLD_MS = 4000;

const main = byId('main');
const status = byId('status');
let shown = null;
let asking = new AbortController();

const state = () => Object.fromEntries(new URLSearchParams(location.search));

function beneath(all) {
  return Object.fromEntries(Object.entries(all).filter(([name]) => !OF_DRAWER.includes(name)));
}

function viewOf(all) {
  const views = { compare, changes, storage };
  if (all.view && Object.hasOwn(views, all.view)) return views[all.view];
  if (!all.entity) return home;
  return all.attribute ? value : entity;
}

/** Goes to a state. Only what is beneath the drawer is built anew, and only if it is another. */
function go(params, { keep = null } = {}) {
  const drawer = OF_DRAWER.some((name) => params[name]);
  history.pushState({ drawer }, '', href(params));
  show({ focus: keep ? `[data-keep="${keep}"]` : '#answer_title' });
}

const drawer = new Drawer(() => {
  // Opened here, it is left by going back; opened by a link from elsewhere, there is nothing to go back to.
  if (history.state?.drawer) history.back();
  else history.replaceState(null, '', href(beneath(state())));
});

async function show({ focus }) {
  const all = state();
  const wanted = href(beneath(all));
  if (wanted !== shown) {
    shown = wanted;
    await build(beneath(all), focus);
  }
  if (wanted === href(beneath(state()))) await drawer.show(state());
}

async function build(all, focus) {
  asking.abort();
  const mine = asking = new AbortController();
  const waiting = setTimeout(() => { main.setAttribute('aria-busy', 'true'); say('Reading\u2026', { toAll: true }); }, WAIT_MS);
  markPage(all);
  fillLookup(all);
  const context = { signal: mine.signal, go, copyLink, settle };
  const again = () => { shown = null; show({ focus: '#answer_title' }); };
  const problem = (error) => {
    if (mine.signal.aborted || error.name === 'AbortError') return null;
    if (!(error instanceof Problem)) throw error;
    return { title: error.body.title ?? 'No answer', node: problemNotice(error, all, again), said: `${error.body.title}. ${error.body.detail ?? ''}` };
  };
  try {
    const built = await viewOf(all)(all, context).catch(problem);
    if (!built || mine.signal.aborted) return;
    let { node, said } = built;
    if (built.head) main.replaceChildren(built.head, el('div', { class: 'pending' }));
    if (node instanceof Promise) ({ node, said } = (await node.then((done) => (done instanceof Node ? { node: done, said: '' } : done)).catch(problem)) ?? {});
    if (!node || mine.signal.aborted) return;
    main.replaceChildren(...[built.head, node].filter(Boolean));
    retitle(built.head, node);
    document.title = `${built.title} \u2013 Alluvium`;
    say(said ?? '');
    settleFocus(focus);
  } finally {
    clearTimeout(waiting);
    if (mine === asking) main.removeAttribute('aria-busy');
  }
}

/** After a new answer the focus is on its title, or on what was pressed where that is still there; never on nothing. */
function settleFocus(focus) {
  const lost = !document.activeElement || document.activeElement === document.body;
  if (focus === null || (focus === 'if lost' && !lost)) return;
  const kept = focus.startsWith('[') ? main.querySelector(focus) : null;
  (kept ?? byId('answer_title') ?? main).focus({ preventScroll: true });
  if (!kept) scrollTo(0, 0);
}

/** A notice below a form has a heading of its own: there is one of the first level on a page. */
function retitle(head, node) {
  const title = head && node.querySelector?.('h1');
  if (!title) return;
  const lower = el('h2', { id: 'notice_title', tabindex: '-1' }, ...title.childNodes);
  title.replaceWith(lower);
  node.setAttribute('aria-labelledby', 'notice_title');
}

/** Told to those who do not see the page change; to all, where nothing else on the page shows it. */
function say(text, { toAll = false } = {}) {
  status.className = toAll ? 'status' : 'unseen';
  status.textContent = text;
  if (toAll) setTimeout(() => { if (status.textContent === text) say(''); }, TOLD_MS);
}

function markPage(all) {
  const page = ['compare', 'changes', 'storage'].includes(all.view) ? all.view : 'lookup';
  for (const one of document.querySelectorAll('[data-page]')) {
    if (one.dataset.page === page) one.setAttribute('aria-current', 'page');
    else one.removeAttribute('aria-current');
  }
  byId('ask').hidden = page !== 'lookup';
}

function fillLookup(all) {
  for (const name of ['entity', 'attribute', 'as_of', 'known_as_of']) {
    const input = byId(name);
    const given = all.view ? '' : all[name] ?? '';
    if (name.endsWith('as_of')) input.type = given && !/^\d{4}-\d{2}-\d{2}$/.test(given) ? 'text' : 'date';
    input.value = given;
  }
  if (all.as_of || all.known_as_of) byId('times').open = true;
}

/** Puts the state's full form into the address without a step back to the one that lacked it. */
function settle(params) {
  history.replaceState(history.state, '', href(params));
  shown = href(beneath(params));
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say('The link is copied.', { toAll: true });
  } catch {
    say('This browser does not allow copying here: copy the address above.', { toAll: true });
  }
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[data-route]');
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const params = Object.fromEntries(new URL(link.href).searchParams);
  go(params, { keep: link.dataset.keep });
});

byId('lookup').addEventListener('submit', (event) => {
  event.preventDefault();
  go(answersOf(event.target));
});

addEventListener('popstate', () => show({ focus: 'if lost' }));

async function begin() {
  show({ focus: null });
  const table = await aboutTable().catch(() => null);
  if (!table) return;
  byId('about').textContent = `${table.name}${table.comment ? `: ${table.comment}` : ''}`;
  byId('attributes').replaceChildren(...(table.attributes ?? []).map((name) => el('option', { value: name })));
}

begin();
