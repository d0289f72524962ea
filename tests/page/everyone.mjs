// That everyone can use the page: names, headings, contrast, narrow screens, motion; and those with a token.

import assert from 'node:assert/strict';
import { open, settled } from './steps.mjs';

const VIEWS = {
  home: {},
  value: { entity: 'us:AAPL', attribute: 'name', as_of: '2022-01-01' },
  numbers: { entity: 'test:numbers', attribute: 'founded_year' },
  sheet: { entity: 'us:MMM' },
  compare: { view: 'compare', entity: 'us:AAPL', from: '2015-09-22', to: '2023-04-02' },
  changes: { view: 'changes', attribute: 'company', date: '2024-12-08' },
  storage: { view: 'storage', days: '40' },
  never: { entity: 'us:NOBODY', attribute: 'name' },
  problem: { entity: 'us:AAPL', attribute: 'name', as_of: 'yesterday' },
  drawer: { entity: 'test:hostile', attribute: 'name', evidence: '' },
};

export async function accessible({ visit, facts }) {
  const wrong = [];
  for (const [colorScheme, width] of [['light', 1180], ['dark', 1180], ['light', 320]]) {
    const page = await visit({ colorScheme, viewport: { width, height: 900 } });
    for (const [name, state] of Object.entries(VIEWS)) {
      await open(page, facts.base, state);
      if (name === 'drawer') {
        await page.click('text=Show the evidence');
        await page.waitForSelector('#record_exact', { state: 'attached' });
      }
      await page.waitForFunction(() => !document.querySelector('.pending'));
      await page.evaluate(() => document.querySelectorAll('details').forEach((one) => { one.open = true; }));
      const found = [...await page.evaluate(names), ...await page.evaluate(contrasts), ...await page.evaluate(layout)];
      wrong.push(...found.map((what) => `${name}, ${colorScheme}, ${width} px: ${what}`));
    }
    await page.context().close();
  }
  assert.deepEqual(wrong, []);
  await focusIsSeen(await visit(), facts);
}

/** Runs in the page: what has no name, what is nobody's, what is there twice. */
function names() {
  const wrong = [];
  const seen = (one) => one.checkVisibility();
  const text = (one) => (one.getAttribute('aria-label') ?? one.textContent).trim();
  const labelled = (one) => (one.labels?.length ?? 0) > 0 && [...one.labels].every((label) => label.textContent.trim());
  for (const one of document.querySelectorAll('input, select, textarea')) if (!labelled(one)) wrong.push(`no label: ${one.id}`);
  for (const one of document.querySelectorAll('a[href], button, summary')) if (!text(one)) wrong.push(`no name: ${one.outerHTML.slice(0, 80)}`);
  for (const one of document.querySelectorAll('[role=region], nav, svg[role=img], dialog, form.controls')) {
    if (!one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby')) wrong.push(`no name: ${one.outerHTML.slice(0, 80)}`);
  }
  for (const one of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    const ids = `${one.getAttribute('aria-labelledby') ?? ''} ${one.getAttribute('aria-describedby') ?? ''}`.split(' ').filter(Boolean);
    for (const id of ids) if (!document.getElementById(id) && one.id !== 'drawer') wrong.push(`nothing is called ${id}`);
  }
  for (const one of document.querySelectorAll('img')) if (!one.hasAttribute('alt')) wrong.push('an image without alt');
  for (const one of document.querySelectorAll('table')) if (!one.caption || !one.querySelector('th[scope=col]') || !one.querySelector('th[scope=row]')) wrong.push('a table without caption or heads');
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of ids.filter((one, at) => ids.indexOf(one) !== at)) wrong.push(`two are called ${id}`);
  const headings = [...document.querySelectorAll('main :is(h1, h2, h3)')].filter(seen).map((one) => Number(one.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1 || headings[0] !== 1) wrong.push(`headings ${headings}`);
  headings.forEach((level, at) => { if (at && level > headings[at - 1] + 1) wrong.push(`a heading is left out: ${headings}`); });
  for (const landmark of ['header', 'main', 'nav', 'footer']) if (!document.querySelector(landmark)) wrong.push(`no ${landmark}`);
  if (!document.documentElement.lang || !document.title) wrong.push('no language or title');
  if (!document.querySelector('[role=status][aria-live=polite]')) wrong.push('nothing tells of results');
  return wrong;
}

/** Runs in the page: the contrast of each text that is seen with the ground it stands on (WCAG 2.2, 1.4.3). */
function contrasts() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] > 0.99) return color;
    }
    return [255, 255, 255, 1];
  };
  const wrong = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !one.checkVisibility({ visibilityProperty: true }) || one.closest('.unseen, .skip, [aria-hidden=true], svg')) continue;
    const style = getComputedStyle(one);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const [front, back] = [luminance(parse(style.color)), luminance(ground(one))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < (large ? 3 : 4.5)) wrong.add(`contrast ${ratio.toFixed(2)}: ${one.tagName}.${one.className} "${one.textContent.trim().slice(0, 30)}"`);
  }
  return [...wrong];
}

/** Runs in the page: nothing hangs over the edge, nothing moves for those who do not want it. */
function layout() {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  if (document.getAnimations().length) wrong.push('something moves');
  for (const one of document.querySelectorAll('button, .button, input')) {
    const { height } = one.getBoundingClientRect();
    if (one.checkVisibility() && height < 24) wrong.push(`too small to hit: ${one.textContent}`);
  }
  return wrong;
}

/** Each stop of Tab shows that it is one. */
async function focusIsSeen(page, { base }) {
  await open(page, base, VIEWS.value);
  const stops = new Set();
  for (let at = 0; at < 30; at += 1) {
    await page.keyboard.press('Tab');
    const [what, outline] = await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return [document.activeElement.outerHTML.slice(0, 60), document.activeElement === document.body ? 3 : style.outlineStyle === 'none' ? 0 : Number.parseFloat(style.outlineWidth)];
    });
    assert.ok(outline >= 2, `no focus is seen on ${what}`);
    stops.add(what);
  }
  assert.ok(stops.size > 12, `only ${stops.size} stops`);
}

export async function token({ visit, facts }) {
  const page = await visit();
  await page.goto(`${facts.closed}/?entity=us:AAPL&attribute=name`);
  await page.waitForSelector('#token[open]');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'token_value');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#token[open]');
  assert.ok(await page.isVisible('#token_value'), 'there is nothing to see behind it');
  await page.fill('#token_value', 'not the one it is');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('token').open && document.getElementById('token_wrong').textContent);
  await page.fill('#token_value', facts.token);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.card .value');
  await settled(page);
  assert.ok(!page.url().includes(facts.token), 'it is in no address');
  await page.reload();
  await page.waitForSelector('.card .value');
  assert.ok(!await page.isVisible('#token'), 'asked once');
  await page.click('text=Show the evidence');
  await page.waitForSelector('#record_exact', { state: 'attached' });
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Save the record')]);
  assert.equal(download.suggestedFilename(), 'record');
  const other = await visit();
  await other.goto(facts.closed);
  await other.waitForSelector('#token[open]');
}
