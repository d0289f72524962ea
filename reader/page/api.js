// Questions to the API. A problem comes back as an error of its own kind; a token is asked for once and kept for this tab.

import { byId } from './dom.js';

const KEPT = 'alluvium.token';

/** What the API says when it does not answer (RFC 9457). */
export class Problem extends Error {
  constructor(body) {
    super(body.detail ?? body.title ?? 'no answer');
    this.body = body;
    this.kind = String(body.type ?? '').replace('/problems/', '');
  }
}

/** The answer to a question as an object. */
export async function ask(path, params = {}, signal = undefined) {
  const response = await get(path, params, signal);
  return response.json();
}

/** The bytes of an answer, just as they come. */
export async function askBytes(path, params = {}, signal = undefined) {
  const response = await get(path, params, signal);
  return new Uint8Array(await response.arrayBuffer());
}

/** Saves an answer as a file: a plain link could not send the token along. */
export async function save(path, params, name) {
  const response = await get(path, params);
  saveBlob(await response.blob(), name);
}

export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function get(path, params, signal) {
  const kept = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(kept).toString();
  let wrong = false;
  for (;;) {
    const sent = sessionStorage.getItem(KEPT);
    const response = await send(query ? `${path}?${query}` : path, sent, signal);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.body.wants !== 'token') throw problem;
    // Another question may have asked meanwhile: its token is tried first.
    if (sent === sessionStorage.getItem(KEPT)) await token(wrong || sent !== null);
    wrong = true;
  }
}

async function send(url, token, signal) {
  const headers = { accept: 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  try {
    return await fetch(url, { headers, signal, cache: 'no-cache' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({ type: '/problems/away', title: 'the reader does not answer', detail: 'Nothing came back from the server.' });
  }
}

async function problemOf(response) {
  try {
    return new Problem(await response.json());
  } catch {
    return new Problem({ type: '/problems/away', status: response.status, title: 'no answer of the reader', detail: `The server answered with status ${response.status}.` });
  }
}

let asking = null;

/** Asks for the token; all questions that wait for it wait for the same one. */
function token(wrong) {
  asking ??= new Promise((resolve) => {
    const [dialog, form, input] = [byId('token'), byId('token_form'), byId('token_value')];
    byId('token_wrong').textContent = wrong ? 'This token is not the right one.' : '';
    sessionStorage.removeItem(KEPT);
    input.value = '';
    // Without a token there is nothing to see behind the dialog: closed by Escape, it comes back.
    const stay = () => dialog.showModal();
    dialog.addEventListener('close', stay);
    form.addEventListener('submit', () => {
      sessionStorage.setItem(KEPT, input.value.trim());
      dialog.removeEventListener('close', stay);
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

const segment = (text) => encodeURIComponent(text);

export const paths = {
  entity: (entity) => `/v1/entities/${segment(entity)}`,
  attribute: (entity, attribute) => `/v1/entities/${segment(entity)}/attributes/${segment(attribute)}`,
  changes: (attribute) => `/v1/attributes/${segment(attribute)}/changes`,
};

let table = null;

/** What can be asked: read once. */
export function aboutTable() {
  table ??= ask('/v1/table').catch((error) => {
    table = null;
    throw error;
  });
  return table;
}
