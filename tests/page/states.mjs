// States as addresses, and what stands where there is no value.

import assert from 'node:assert/strict';
import { open, params, settled, texts } from './steps.mjs';

export async function addresses({ visit, facts }) {
  const page = await visit();
  const { entity } = facts;
  const seen = [];
  const note = async () => {
    await settled(page);
    seen.push([page.url(), await page.title(), await page.textContent('#answer_title')]);
  };
  await open(page, facts.base, {});
  await note();
  await page.fill('#entity', entity);
  await page.click('#lookup button');
  await page.waitForSelector('.sheet');
  await note();
  await page.click('.sheet a:text-is("name")');
  await page.waitForSelector('.timeline');
  await note();
  await page.click('text=Everything then >> nth=1');
  await page.waitForSelector('.moment');
  await note();
  await page.click('text=Compare two dates');
  await page.waitForSelector('#compare_entity');
  await note();
  for (const at of [3, 2, 1, 0, 1, 2, 3, 4]) {
    const before = seen.findIndex(([url]) => url === page.url());
    await (at < before ? page.goBack() : page.goForward());
    await page.waitForFunction((title) => document.title === title, seen[at][1]);
    await settled(page);
    assert.equal(page.url(), seen[at][0]);
    assert.equal(await page.textContent('#answer_title'), seen[at][2]);
  }
  const elsewhere = await visit();
  for (const [url, title, heading] of seen) {
    await elsewhere.goto(url);
    await elsewhere.waitForFunction((wanted) => document.title === wanted, title);
    assert.equal(await elsewhere.textContent('#answer_title'), heading, `${url} elsewhere`);
  }
  await drawerAndBack(page, facts);
}

/** Back closes the drawer, forward opens it again, and what lies beneath stays. */
async function drawerAndBack(page, { base, entity }) {
  await open(page, base, { entity, attribute: 'name' });
  await page.evaluate(() => { document.querySelector('.card').dataset.mark = 'same'; });
  await page.click('.changes .evidence-link >> nth=0');
  await page.waitForSelector('#record_exact', { state: 'attached' });
  await page.goBack();
  await page.waitForSelector('#drawer:not([open])', { state: 'attached' });
  await page.goForward();
  await page.waitForSelector('#drawer[open] #record_exact', { state: 'attached' });
  assert.equal(await page.getAttribute('.card', 'data-mark'), 'same');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !location.search.includes('evidence'));
}

const kind = (page) => page.getAttribute('main [data-kind]', 'data-kind');

export async function empty({ visit, facts }) {
  const page = await visit();
  const shows = async (wanted, state, ...words) => {
    await open(page, facts.base, state);
    await page.waitForSelector('main [data-kind]');
    assert.equal(await kind(page), wanted, JSON.stringify(state));
    const text = await page.textContent('main');
    for (const word of words) assert.ok(text.includes(word), `${word} in: ${text}`);
    assert.ok((await page.textContent('#status')).length > 0, 'it is said too');
  };
  await shows('never', { entity: 'us:NOBODY', attribute: 'name' }, 'Never had a value', 'name is an attribute of this lake');
  await shows('never', { entity: 'us:AAPL', attribute: 'headquarters', as_of: '2015-01-01' }, 'Had no value yet', 'by 2015-01-01');
  await page.click('text=Ask without that date');
  await page.waitForSelector('.card.set');
  await shows('never', { entity: 'us:NOBODY' }, 'Nothing is known of it');
  await shows('unset', { entity: 'us:MMM', attribute: 'company' }, 'No value', 'Removed 10 Dec 2024');
  await shows('unknown-attribute', { entity: 'us:AAPL', attribute: 'headquarter' }, 'no such attribute');
  await page.click('main a:text-is("headquarters")');
  await page.waitForSelector('.card.set');
  assert.equal(params(page).attribute, 'headquarters');
  await shows('outside-range', { entity: 'us:AAPL', attribute: 'name', as_of: '2001-01-01' }, 'Outside the time', '1 Jan 2012');
  await shows('outside-range', { view: 'compare', entity: 'us:AAPL', from: '2001-01-01', to: '2020-01-01' }, 'Outside the time');
  await shows('outside-range', { view: 'changes', attribute: 'name', date: '2001-01-01' }, 'Outside the time');
  await shows('problem', { entity: 'us:AAPL', attribute: 'name', as_of: 'yesterday' }, 'The question is wrong', '`as_of` is no instant', 'Correct what is named above');
  await shows('problem', { view: 'compare', entity: 'us:AAPL', from: '2020-01-01', to: '2019-01-01' }, '`from` lies behind `to`');
  await away(page, facts);
}

/** Nothing comes back: it says so, and asks again where that is wanted. */
async function away(page, { base }) {
  await open(page, base, {});
  await page.route('**/v1/entities/**', (route) => route.abort());
  await page.fill('#entity', 'us:AAPL');
  await page.fill('#attribute', 'name');
  await page.click('#lookup button');
  await page.waitForSelector('[data-kind=problem]');
  assert.match(await page.textContent('main'), /does not answer/);
  await page.unroute('**/v1/entities/**');
  await page.click('main button:text-is("Try again")');
  await page.waitForSelector('.card.set');
}

export async function hostile({ visit, facts }) {
  const page = await visit();
  const image = '<img src=x onerror=window.pwned=6>';
  const calm = async (place) => {
    assert.equal(await page.evaluate(() => window.pwned), undefined, place);
    assert.equal(await page.locator('main script, main img, main iframe, #drawer img, #drawer script, main b, main i.src').count(), await page.locator('.figures b').count(), place);
  };
  await open(page, facts.base, { entity: 'test:hostile', attribute: 'name' });
  assert.equal(await page.textContent('.card .value'), '<script>window.pwned=1</script>');
  await calm('explanation and timeline');
  await page.click('text=Show the evidence');
  await page.waitForSelector('#record_exact', { state: 'attached' });
  assert.ok((await page.textContent('#drawer')).includes('<img src=x onerror=window.pwned=5>'));
  assert.deepEqual(await page.locator('#drawer a').evaluateAll((all) => all.map((one) => new URL(one.href).protocol)), ['https:'], 'only web addresses are links');
  await calm('evidence');
  await open(page, facts.base, { entity: image });
  assert.equal(await page.textContent('#answer_title'), image);
  await calm('sheet');
  await open(page, facts.base, { view: 'changes', attribute: 'name', date: '2024-03-02' });
  await page.waitForSelector('.feed > li');
  assert.ok((await texts(page, '.feed > li .stored')).includes('</script><img src=x onerror=window.pwned=7>'));
  await calm('feed');
  await open(page, facts.base, { entity: image, attribute: image });
  await calm('an unknown attribute');
  await open(page, facts.base, { view: 'constructor', entity: '"><script>window.pwned=8</script>', as_of: '<b>', evidence: image });
  await calm('parameters');
}
