// What scenarios do again and again.

/** Opens a state of the page and waits until it shows an answer. */
export async function open(page, base, params = {}) {
  await page.goto(`${base}/?${new URLSearchParams(params)}`);
  await settled(page);
}

/** Waits until nothing is being read. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector('#main h1, #main h2') && !document.querySelector('#main[aria-busy], #main .pending, .loading'));
}

/** The texts of all that match, as they are shown to the eye. */
export const texts = (page, selector) => page.locator(selector).evaluateAll((all) => all.map((one) => one.textContent));

/** Presses Tab until what has the focus matches. */
export async function tabTo(page, selector, most = 60) {
  for (let at = 0; at < most; at += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`${most} times Tab, and the focus is never on ${selector}`);
}

/** The page's parameters. */
export const params = (page) => Object.fromEntries(new URL(page.url()).searchParams);
