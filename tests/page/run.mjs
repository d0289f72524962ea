// Plays one scenario in Chromium: `node run.mjs <scenario> <facts.json>`. Ends with 1 and what was wrong, on standard error, if an
// assertion fails, if a script of the page throws, or if the browser has anything to complain about.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as answers from './answers.mjs';
import * as everyone from './everyone.mjs';
import * as states from './states.mjs';

const scenarios = { ...answers, ...everyone, ...states };

/** No sandbox: tests run as root in containers. The rest keeps the browser from asking the network for anything of its own. */
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** Milliseconds for one step on a machine that is busy with other tests. */
const STEP_MS = 60_000;

const [name, facts] = [process.argv[2], JSON.parse(readFileSync(process.argv[3], 'utf8'))];
const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGUMENTS });
const wrong = [];

/** A page of a new visitor, watched for whatever goes wrong in it. */
async function visit(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);
  page.on('pageerror', (error) => wrong.push(`a script threw: ${error.message}`));
  page.on('console', (message) => {
    // Chromium reports each answer that is a problem; the page shows it, which scenarios look at.
    const expected = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !expected) wrong.push(`the console says: ${message.text()}`);
  });
  page.on('request', (request) => {
    const own = [facts.base, facts.closed].some((base) => base && request.url().startsWith(base));
    if (!own && !request.url().startsWith('blob:') && !request.url().startsWith('data:')) wrong.push(`asked elsewhere: ${request.url()}`);
  });
  return page;
}

try {
  await scenarios[name]({ visit, facts });
} catch (error) {
  wrong.push(error.stack);
}
await browser.close();
if (wrong.length) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
