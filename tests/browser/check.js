// Opens a page in headless Chromium and tells as JSON what it asked for, what it said, how wide it is, how long it took,
// what it holds in memory, and what axe-core finds: node check.js FILE WIDTH light|dark screen|print [axe]
'use strict';
const fs = require('fs');
const path = require('path');
const {chromium} = require('playwright-core');

(async () => {
  const [file, width, scheme, media, axe] = process.argv.slice(2);
  const browser = await chromium.launch({executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--enable-precise-memory-info']});
  try {
    const page = await browser.newPage({viewport: {width: Number(width), height: 900}, colorScheme: scheme});
    if (media === 'print') await page.emulateMedia({media: 'print', colorScheme: scheme});
    const found = {requests: [], said: []};
    const address = `file://${path.resolve(file)}`;
    page.on('request', (request) => {
      const url = request.url();
      if (url !== address && !/^(data|blob):/.test(url)) found.requests.push(url);
    });
    page.on('console', (message) => found.said.push(message.text()));
    page.on('pageerror', (error) => found.said.push(error.message));
    const start = Date.now();
    await page.goto(address);
    found.seconds = (Date.now() - start) / 1000;
    // every moving view is drawn, as on paper
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    await page.waitForTimeout(300);
    found.width = await page.evaluate(() => document.documentElement.scrollWidth);
    found.heap_mb = await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6);
    found.views = await page.evaluate(() => [...document.querySelectorAll('.live')].map((place) => {
      const canvas = place.querySelector('canvas');
      const pixels = canvas ? canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data : [];
      return {view: place.dataset.view, inked: pixels.some((value) => value > 0)};
    }));
    found.sorted = await page.evaluate(() => {
      const head = document.querySelector('table.grid th[data-sorted], table.grid th button.sort');
      if (!head) return null;
      const table = head.closest('table');
      const column = [...table.tHead.rows[0].cells].indexOf(head.closest('th'));
      const texts = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent.trim());
      const before = texts();
      head.click(); head.click();
      return {before, after: texts(), way: head.closest('th').getAttribute('aria-sort')};
    });
    // the choice of what is shown of the slices, by keyboard
    found.slices = await (async () => {
      const view = await page.$('.slices');
      if (!view) return null;
      const seen = () => view.evaluate((own) => Object.fromEntries(['image', 'difference', 'insets'].map((kind) => [kind,
        [...own.querySelectorAll(`.${kind}`)].filter((part) => part.getClientRects().length > 0).length])));
      const told = {first: await seen()};
      if (media === 'print') return told;
      await (await view.$('.tools select')).focus();
      await page.keyboard.press('ArrowDown');
      told.difference = await seen();
      await page.keyboard.press('ArrowDown');
      told.both = await seen();
      await page.keyboard.press('Tab'); await page.keyboard.press('Tab'); await page.keyboard.press('Enter');
      told.closed = await seen();
      return told;
    })();
    // from point to point by arrow keys: what each says, and whether its patch is shown
    found.patches = await (async () => {
      const canvas = await page.$('.live[data-view=points] canvas');
      if (!canvas || media === 'print') return null;
      await canvas.scrollIntoViewIfNeeded();
      await page.waitForTimeout(1000);
      await canvas.focus();
      const told = [];
      for (const key of ['ArrowRight', 'ArrowRight', 'ArrowLeft']) {
        await page.keyboard.press(key);
        await page.waitForTimeout(200);
        told.push(await page.evaluate(() => {
          const box = document.querySelector('.tip:not([hidden])');
          const small = box && box.querySelector('canvas');
          const pixels = small ? small.getContext('2d').getImageData(12, 12, 1, 1).data : null;
          return {words: box ? box.innerText : '', gray: pixels && pixels[3] ? pixels[0] : null};
        }));
      }
      return told;
    })();
    // words of tables that a line's end divides: a word has one box where none does
    found.divided = await page.evaluate(() => {
      const told = [];
      for (const table of document.querySelectorAll('table:not(.words)')) {
        for (const row of [...table.rows].slice(0, 4)) {
          const walk = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
          for (let node = walk.nextNode(); node; node = walk.nextNode()) {
            if (node.parentElement.closest('code, .hidden')) continue;
            for (const word of node.data.matchAll(/[^\s\u00ad-]+/g)) {
              const range = document.createRange();
              range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
              const lines = new Set([...range.getClientRects()].filter((box) => box.width > 1).map((box) => Math.round(box.top)));
              // the box of a hyphen that is seen belongs to what follows it
              if (lines.size > (node.data[word.index - 1] === '\u00ad' ? 2 : 1)) told.push(word[0]);
            }
          }
        }
      }
      return told;
    });
    found.lost = await page.evaluate(() => [...document.querySelectorAll('details')].filter((details) => {
      const last = details.lastElementChild;
      return last && last.getClientRects().length === 0;
    }).length);
    if (axe) {
      await page.evaluate(fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
      const told = await page.evaluate(() => window.axe.run({resultTypes: ['violations']}));
      found.violations = told.violations.map((rule) => (
        {rule: rule.id, n: rule.nodes.length, first: rule.nodes[0].html.slice(0, 200)}));
    }
    console.log(JSON.stringify(found));
  } finally {
    await browser.close();
  }
})();
