// JSON laid out for reading without reading it: strings and numbers stay letter for letter as they came (1.50 does not become 1.5,
// nor does a long id lose its last digits), only the space between them is ours.

import { el } from './dom.js';

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

/** Longer texts are shown as they are: marking every word of them would take too long. */
const MARKED_CHARS_MAX = 200_000;

/** The text in lines, as `[kind, text]` pieces; nothing if it is no JSON. */
export function layOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const pieces = [];
  let depth = 0;
  const tokens = text.match(TOKEN) ?? [];
  const line = () => pieces.push(['space', `\n${'  '.repeat(depth)}`]);
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === '{' || token === '[') {
      pieces.push(['mark', token]);
      depth += 1;
      if (next !== '}' && next !== ']') line();
    } else if (token === '}' || token === ']') {
      depth -= 1;
      if (tokens[at - 1] !== '{' && tokens[at - 1] !== '[') line();
      pieces.push(['mark', token]);
    } else if (token === ',') {
      pieces.push(['mark', token]);
      line();
    } else if (token === ':') {
      pieces.push(['mark', ': ']);
    } else {
      pieces.push([next === ':' ? 'name' : token.startsWith('"') ? 'text' : 'plain', token]);
    }
  });
  return pieces;
}

/** The same as an element; the text itself where it is no JSON. */
export function pretty(text) {
  const pieces = text.length > MARKED_CHARS_MAX ? null : layOut(text);
  const inside = pieces?.map(([kind, piece]) => (kind === 'space' || kind === 'mark' ? piece : el('span', { class: `json-${kind}` }, piece)));
  return el('pre', { class: 'record', tabindex: '0', 'aria-label': 'The record, laid out' }, inside ?? text);
}

/** Bytes as sixteen a line with their letters, as far as `max`. */
export function hex(bytes, max = 64 * 1024) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, max); at += 16) {
    const row = bytes.subarray(at, at + 16);
    const codes = Array.from(row, (byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const letters = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${codes}  ${letters}`);
  }
  if (bytes.length > max) lines.push(`... ${bytes.length - max} bytes more: save the record to see them`);
  return lines.join('\n');
}
