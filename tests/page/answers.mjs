// What the page answers, against what the log says.

import assert from 'node:assert/strict';
import { open, params, settled, tabTo, texts } from './steps.mjs';

/** What a place shows of a value; nothing where it says that there is none. */
const stored = (place) => place.evaluate((one) => one.querySelector('.stored')?.textContent ?? null);

export async function keyboard({ visit, facts }) {
  const page = await visit();
  await page.goto(facts.base);
  await settled(page);
  await tabTo(page, '#entity', 12);
  await page.keyboard.type(facts.entity);
  await tabTo(page, '#attribute', 2);
  await page.keyboard.type(facts.attribute);
  // A list of suggestions may be open: Escape leaves what was typed.
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.card .value');
  assert.deepEqual(params(page), { entity: facts.entity, attribute: facts.attribute });
  assert.equal(await page.textContent('.card .value'), facts.value);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'answer_title', 'the focus is on the answer');
  assert.match(await page.textContent('#status'), new RegExp(`^${facts.attribute} of ${facts.entity} is `), 'the answer is said');

  await tabTo(page, '.card .button.primary', 12);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#record_exact', { state: 'attached' });
  assert.ok(params(page).evidence, 'the drawer is a state');
  for (let at = 0; at < 25; at += 1) {
    await page.keyboard.press(at % 3 ? 'Tab' : 'Shift+Tab');
    const inside = await page.evaluate(() => document.activeElement === document.body || document.getElementById('drawer').contains(document.activeElement));
    assert.ok(inside, 'the focus stays in the drawer');
  }
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !document.getElementById('drawer').open && !location.search.includes('evidence'));
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Show the evidence', 'the focus is where it was');

  await tabTo(page, '.panel > summary', 12);
  await page.keyboard.press('Enter');
  const panel = await page.textContent('.panel[open]');
  for (const said of ['working out where to look', 'reading files', 'Partitions the rules allow', 'of them with files', 'Cost of the requests']) assert.ok(panel.includes(said), said);
}

/** The picture in the README. */
export async function picture({ visit, facts }) {
  const page = await visit({ viewport: { width: 1080, height: 980 }, colorScheme: 'light' });
  await open(page, facts.base, { entity: facts.entity, attribute: facts.attribute });
  await page.screenshot({ path: facts.path });
}

export async function timeline({ visit, facts }) {
  const page = await visit();
  for (const [attribute, changes] of Object.entries(facts.attributes)) {
    await open(page, facts.base, { entity: facts.entity, attribute });
    const [since, now] = changes[changes.length - 1];
    assert.equal(await page.getAttribute('.card .lead time', 'datetime').then((at) => Date.parse(at)), Date.parse(since), attribute);
    assert.equal(await stored(page.locator('.card .value')), now, attribute);
    const items = page.locator('.changes > li');
    assert.equal(await items.count(), changes.length, `${attribute}: changes`);
    for (let at = 0; at < changes.length; at += 1) {
      const [from, to] = [changes.length - 2 - at, changes.length - 1 - at];
      const item = items.nth(at);
      assert.equal(Date.parse(await item.locator('.when time').getAttribute('datetime')), Date.parse(changes[to][0]));
      assert.equal(await stored(item.locator('.old')), changes[from]?.[1] ?? null, `${attribute}: old value ${at}`);
      assert.equal(await stored(item.locator('.new')), changes[to][1], `${attribute}: new value ${at}`);
      assert.ok((await item.locator('.chip').first().textContent()).includes('data/'), 'the source');
    }
  }
}

export async function numbers({ visit, facts }) {
  const page = await visit();
  await open(page, facts.base, { entity: facts.entity, attribute: facts.attribute });
  assert.match(await page.getAttribute('svg.spark', 'aria-label'), /From 1900 on 1 Jan 2020 to 1925 on 1 Mar 2023; lowest 1900, highest 1950.5/);
  assert.match(await page.getAttribute('svg.spark path', 'd'), /^M6 \d+(H[\d.]+V[\d.]+){2}H/);
  assert.equal(await page.locator('.changes > li').count(), 3);
  assert.match(await page.textContent('.changes > li:last-child'), /Said again 2 times, last on 1 Mar 2020/);
  await page.locator('.controls [data-keep=repeats]').focus();
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.changes > li').length === 5);
  assert.equal(params(page).repeats, '1');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.keep), 'repeats', 'the focus stays');
  await page.fill('#f_from', '2021-01-01');
  await page.fill('#f_to', '2022-01-01');
  await page.click('text=Show these dates');
  await page.waitForFunction(() => document.querySelectorAll('.changes > li').length === 1);
  assert.deepEqual(await texts(page, '.changes .new'), ['1950.5']);
}

export async function compare({ visit, facts }) {
  const page = await visit();
  await open(page, facts.base, { view: 'compare' });
  await page.fill('#compare_entity', facts.entity);
  await page.fill('#f_from', facts.from);
  await page.fill('#f_to', facts.to);
  await page.click('main button.primary');
  await page.waitForSelector('main table');
  assert.deepEqual(params(page), { view: 'compare', entity: facts.entity, from: facts.from, to: facts.to });
  const rows = page.locator('main tbody tr');
  const found = [];
  for (let at = 0; at < await rows.count(); at += 1) {
    const row = rows.nth(at);
    found.push([await row.locator('th').textContent(), await stored(row.locator('.old')), await stored(row.locator('.new'))]);
  }
  assert.deepEqual(found.sort(), facts.changed);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Save as CSV')]);
  assert.equal(download.suggestedFilename(), 'compared.csv');
}

export async function evidence({ visit, facts }) {
  const page = await visit();
  for (const { entity, attribute, record } of facts.of) {
    await open(page, facts.base, { entity, attribute });
    await page.click('text=Show the evidence');
    await page.waitForSelector('#record_exact', { state: 'attached' });
    assert.equal(await page.textContent('#record_exact'), record, 'letter for letter');
    const laidOut = await page.textContent('.raw pre.record');
    assert.ok(laidOut.includes('\n  "event_id": '), 'laid out in lines');
    // Space between words is ours, nothing else is.
    const bare = (text) => text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');
    assert.equal(bare(laidOut), bare(record));
    assert.match(await page.textContent('.raw'), /these are the bytes of that sum/);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Save the record')]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), Buffer.from(record), 'byte for byte');
    // A link to the open drawer opens it elsewhere.
    await page.goto(page.url());
    await page.waitForSelector('#drawer[open] #record_exact', { state: 'attached' });
    await page.click('#drawer .close');
    await page.waitForFunction(() => !location.search.includes('evidence'));
  }
}

export async function sheet({ visit, facts }) {
  const page = await visit();
  await open(page, facts.base, { entity: facts.entity });
  const rows = page.locator('.sheet tbody tr');
  const found = {};
  for (let at = 0; at < await rows.count(); at += 1) {
    const row = rows.nth(at);
    found[await row.locator('th').textContent()] = await stored(row.locator('td').first());
    assert.match(await row.locator('.since').textContent(), /\d{4} .* ago|just now/, 'an age in words');
    assert.match(await row.locator('.age').getAttribute('class'), /age-[1-4]/);
  }
  assert.deepEqual(found, facts.values);
  assert.deepEqual((await texts(page, '.legend li')).map((text) => text.trim()), ['under a month', 'under a year', 'under 3 years', '3 years or more']);
  await page.click('.sheet tbody tr:first-child .evidence-link');
  await page.waitForSelector('#record_exact', { state: 'attached' });
  assert.ok((await page.textContent('#record_exact')).includes(`"attribute_name":"${params(page).of_attribute}"`));
}

export async function feed({ visit, facts }) {
  const page = await visit();
  await open(page, facts.base, { view: 'changes', attribute: facts.attribute });
  await page.waitForSelector('#feed_title');
  assert.equal(params(page).date, facts.day, 'the newest day with a change is found');
  assert.match(await page.textContent('#feed_title'), new RegExp(`^(The newest )?${Math.min(facts.events, 100)} change`));
  await page.click('main a:text-is("Show what each was before")');
  await page.waitForSelector('.feed .change .new');
  assert.equal(params(page).before, '1');
  const whose = await texts(page, '.feed > li:has(.change) .whose');
  const [old, now] = [await texts(page, '.feed .change .old'), await texts(page, '.feed .change .new')];
  assert.ok(whose.length > 0);
  const told = whose.map((entity, at) => [entity, old[at], now[at]]);
  assert.deepEqual(told, whose.map((entity) => [entity, ...facts.changed[entity].map((value) => value ?? 'no value')]));
  await page.click('nav[aria-label="Other days"] a');
  await page.waitForFunction((day) => !location.search.includes(day), facts.day);
  await settled(page);
  assert.ok(await page.locator('.feed > li').count() > 0, 'the day before has changes too');
}

export async function storage({ visit, facts }) {
  const page = await visit();
  await open(page, facts.base, { view: 'storage', days: '366' });
  await page.waitForSelector('.grid');
  const cell = async (day) => {
    const column = (await texts(page, '.grid thead th')).indexOf(facts.attribute);
    return page.locator('.grid tbody tr', { has: page.locator(`th:text-is("${day}")`) }).locator('td').nth(column - 1);
  };
  assert.equal(await (await cell(facts.day)).textContent(), String(facts.files));
  assert.match(await (await cell(facts.day)).getAttribute('title'), /files?, .* (kB|bytes), \d+ % could be merged away/);
  assert.match(await page.textContent('.figures'), /1 files that no query sees/);
  await page.click('main nav a:text-is("Size")');
  await page.waitForFunction(() => location.search.includes('measure=bytes'));
  await settled(page);
  assert.match(await (await cell(facts.day)).textContent(), /kB|bytes/);
  await open(page, facts.base, { view: 'storage', days: '1', to: facts.unseen_day });
  assert.deepEqual(await texts(page, '.grid tbody th'), [facts.unseen_day]);
  await page.click('main a:has-text("Older days")');
  await page.waitForFunction((day) => !location.search.includes(`to=${day}`), facts.unseen_day);
}
