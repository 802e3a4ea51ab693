// Tables that sort, filter and download; words on hover; views that are drawn when they come into sight.
// No library and no request: the page's policy allows this text alone, by its hash. Without it, and on paper, all
// tables and figures are there as they are.
'use strict';
const ct4 = {views: {}};

// A new element with properties (or attributes, where the element has no such property) and children.
ct4.make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};
ct4.data = (element) => JSON.parse(element.querySelector(':scope > script[type="application/json"]').textContent);
ct4.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// ---- words on hover, focus and touch -------------------------------------------------------------------------------
ct4.tip = (() => {
  let box;
  return {
    show(x, y, ...children) {
      box = box || document.body.appendChild(ct4.make('div', {className: 'tip', role: 'status'}));
      box.replaceChildren(...children);
      box.hidden = false;
      const {width, height} = box.getBoundingClientRect();
      const left = Math.max(4, Math.min(x + 12, innerWidth - width - 8));
      const top = y + 14 + height > innerHeight ? y - height - 10 : y + 14;
      box.style.left = `${left}px`;
      box.style.top = `${Math.max(4, top)}px`;
    },
    hide() { if (box) box.hidden = true; },
  };
})();
ct4.words = () => {
  const told = (event) => event.target.closest && event.target.closest('[data-words], abbr[title], .chart [data-tip]');
  const show = (event) => {
    const element = told(event);
    if (!element) { ct4.tip.hide(); return; }
    if (element.title) { element.dataset.words = element.title; element.removeAttribute('title'); }
    const place = element.getBoundingClientRect();
    const pointed = event.clientX || event.clientY;
    ct4.tip.show(pointed ? event.clientX : place.left, pointed ? event.clientY : place.bottom,
      element.dataset.words || element.dataset.tip);
  };
  for (const kind of ['mouseover', 'focusin', 'click']) document.addEventListener(kind, show);
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') ct4.tip.hide(); });
  document.addEventListener('scroll', ct4.tip.hide, {passive: true, capture: true});
};

// ---- tables --------------------------------------------------------------------------------------------------------
ct4.first = (cell) => (cell.firstChild ? cell.firstChild.textContent : '').trim();
ct4.number = (text) => {
  const plain = text.replace('\u2212', '-').replace(/\s?%$/, '').replace(/^\+/, '');
  return /^-?(\d+\.?\d*([eE]-?\d+)?|inf)([\s\u00b1\u00a0].*)?$/.test(plain)
    ? parseFloat(plain.replace('inf', 'Infinity')) : NaN;
};
// Rows in the order of a column: numbers before words, blanks last whichever way.
ct4.ordered = (rows, column, down) => {
  const keyed = rows.map((row, at) => {
    const text = ct4.first(row.cells[column]);
    return {row, at, text, value: ct4.number(text), blank: text === '' || text === '\u2013'};
  });
  const compare = (a, b) => {
    if (a.blank || b.blank) return a.blank - b.blank || a.at - b.at;
    const [x, y] = [isNaN(a.value), isNaN(b.value)];
    const by = x !== y ? x - y : x ? a.text.localeCompare(b.text, 'en', {numeric: true}) : a.value - b.value;
    return (down ? -by : by) || a.at - b.at;
  };
  return keyed.sort(compare).map((item) => item.row);
};
ct4.sortable = (table, body, rows) => {
  const heads = [...table.tHead.rows[0].cells];
  let state = {column: -1, way: 0};
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = ct4.make('button', {type: 'button', className: 'sort'});
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      state = {column, way: state.column === column ? (state.way + 1) % 3 : 1};
      body.append(...(state.way ? ct4.ordered(rows, column, state.way === 2) : rows));
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      if (state.way) head.setAttribute('aria-sort', state.way === 1 ? 'ascending' : 'descending');
    });
  });
};
ct4.filterable = (rows, label) => {
  const input = ct4.make('input', {type: 'search', placeholder: 'Filter rows', 'aria-label': `Filter rows: ${label}`});
  const said = ct4.make('span', {role: 'status', className: 'note'});
  const texts = rows.map((row) => row.textContent.toLowerCase());
  input.addEventListener('input', () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row, i) => {
      const fits = wanted.every((word) => texts[i].includes(word));
      row.classList.toggle('out', !fits);
      return fits;
    });
    said.textContent = wanted.length ? `${kept.length} of ${rows.length} rows` : '';
  });
  return [input, said];
};
ct4.quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
// What a table shows, as CSV: a cell's lines are divided by '; '.
ct4.shown = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => {
  const parts = [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean);
  return ct4.quoted(parts.join('; ').replaceAll('\u00ad', '').replaceAll('\u2212', '-'));
}).join(',')).join('\n') + '\n';
ct4.save = (name, text) => {
  const url = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
  ct4.make('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};
ct4.tables = () => {
  let files;
  for (const box of document.querySelectorAll('.scroll')) {
    const table = box.querySelector('table');
    const body = table && table.tBodies[0];
    if (!body || body.rows.length < 2) continue;
    const rows = [...body.rows];
    const label = box.getAttribute('aria-label') || 'table';
    if (!table.classList.contains('matrix') && !table.classList.contains('headlines')) ct4.sortable(table, body, rows);
    const tools = ct4.make('div', {className: 'tools'});
    if (rows.length >= 8 && !table.classList.contains('matrix')) tools.append(...ct4.filterable(rows, label));
    const file = table.dataset.file;
    const name = file ? file.split('/').pop() : `${label.toLowerCase().replace(/[^a-z0-9]+/g, '_')}.csv`;
    const save = ct4.make('button', {type: 'button', textContent: 'Download CSV', 'aria-label': `Download CSV: ${label}`,
      title: file ? 'all columns, full digits' : 'as shown'});
    save.addEventListener('click', () => {
      const kept = document.getElementById('files');
      files = files || (kept ? JSON.parse(kept.textContent) : {});
      ct4.save(name, file in files ? files[file] : ct4.shown(table));
    });
    tools.append(save);
    box.before(tools);
  }
};

// ---- pictures: a click on a name of the key hides and shows what has it -----------------------------------------------
ct4.keys = () => {
  for (const key of document.querySelectorAll('[data-key]')) {
    const figure = key.closest('figure');
    const groups = figure ? [...figure.querySelectorAll('[data-group]')] : [];
    const own = groups.filter((group) => key.dataset.key.startsWith(group.dataset.group));
    if (!own.length) continue;
    const button = ct4.make('button', {type: 'button', 'aria-pressed': 'true'});
    button.append(...key.childNodes);
    key.append(button);
    button.addEventListener('click', () => {
      const shown = button.getAttribute('aria-pressed') === 'false';
      button.setAttribute('aria-pressed', String(shown));
      own.forEach((group) => group.classList.toggle('off', !shown));
    });
  }
};

// ---- views -------------------------------------------------------------------------------------------------------
ct4.draw = (place) => {
  if (place.dataset.drawn) return;
  place.dataset.drawn = 'yes';
  ct4.views[place.dataset.view](place, ct4.data(place));
};
ct4.live = () => {
  const places = [...document.querySelectorAll('.live')];
  const watch = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { watch.unobserve(entry.target); ct4.draw(entry.target); }
  }), {rootMargin: '200px'});
  places.forEach((place) => { place.hidden = false; watch.observe(place); });
  addEventListener('beforeprint', () => places.forEach(ct4.draw));
};
ct4.select = (label, options, change) => {
  const select = ct4.make('select');
  options.forEach(([value, text]) => select.append(ct4.make('option', {value, textContent: text})));
  select.addEventListener('change', () => change(select.value));
  return [ct4.make('label', {}, `${label} `, select), select];
};
// A canvas as wide as its place and as sharp as the screen; draw(context, width, height) is called again on new sizes.
ct4.canvas = (place, height, label, draw) => {
  const canvas = ct4.make('canvas', {role: 'img', 'aria-label': label, className: 'canvas'});
  place.append(canvas);
  const redraw = () => {
    const width = canvas.clientWidth;
    if (!width) return;
    const high = typeof height === 'function' ? height(width) : height;
    const sharp = Math.min(devicePixelRatio || 1, 2);
    canvas.style.height = `${high}px`;
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(high * sharp);
    const context = canvas.getContext('2d');
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    draw(context, width, high);
  };
  let waiting = 0;
  new ResizeObserver(() => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(redraw); }).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  redraw();
  return {canvas, redraw};
};
addEventListener('DOMContentLoaded', () => { ct4.tables(); ct4.keys(); ct4.slices(); ct4.words(); ct4.live(); });
