// Points of UMAP and of principal components: hover says what a point is, the legend hides and shows groups.
'use strict';
ct4.bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
ct4.shorts = (text) => new Uint16Array(ct4.bytes(text).buffer);
// The small picture of a patch, cut from the sprite of all, as [canvas], or nothing where the sprite lacks it.
ct4.thumbnail = (sprite, uid, roi, patch) => {
  if (!sprite) return null;
  const {side, columns} = sprite;
  if (!sprite.picture) {
    sprite.picture = ct4.make('img', {src: sprite.image});
    sprite.at = new Map(sprite.series.map((name, i) => [name, i * sprite.patches.length]));
    sprite.of = new Map(sprite.patches.map(([name, number], i) => [`${name}/${number}`, i]));
  }
  const tile = sprite.at.get(uid) + sprite.of.get(`${roi}/${patch}`);
  if (isNaN(tile)) return null;
  const canvas = ct4.make('canvas', {width: side, height: side, className: 'patch'});
  const put = () => canvas.getContext('2d').drawImage(
    sprite.picture, (tile % columns) * side, Math.floor(tile / columns) * side, side, side, 0, 0, side, side);
  if (sprite.picture.complete) put(); else sprite.picture.addEventListener('load', put);
  return [canvas];
};
ct4.views.points = (place, data) => {
  const series = data.series;
  const kept = data.rows.map((own) => (
    {series: ct4.shorts(own.series), roi: ct4.bytes(own.roi), patch: ct4.shorts(own.patch)}));
  let rows = kept[data.sets[0].rows];
  const state = {set: data.sets[0], plane: 'umap', colour: 'tissue', hidden: new Set(), lit: null, points: null, at: null};
  const valueOf = (i, by) => {
    if (by === 'roi') return data.rois[rows.roi[i]];
    if (by === 'tissue') return data.tissues[rows.roi[i]];
    return series[rows.series[i]][by];
  };
  const controls = ct4.make('div', {className: 'tools'});
  const legend = ct4.make('div', {className: 'keys'});
  const said = ct4.make('p', {className: 'note'});
  const [sets] = ct4.select('Features', data.sets.map((set, i) => [i, set.title]), (value) => {
    state.set = data.sets[value]; read(); view.redraw();
  });
  const [planes] = ct4.select('Plane', [['umap', 'UMAP'], ['pca', 'principal components']], (value) => {
    state.plane = value; read(); view.redraw();
  });
  const [colours] = ct4.select('Coloured by', data.colours.map((item) => [item.by, item.title]), (value) => {
    state.colour = value; state.hidden.clear(); keys(); view.redraw();
  });
  controls.append(sets, planes, colours);
  place.append(controls, legend);
  let groups = new Map();

  const read = () => {
    rows = kept[state.set.rows];
    const places = ct4.shorts(state.set[state.plane]);
    state.points = {x: places.subarray(0, places.length / 2), y: places.subarray(places.length / 2)};
    said.textContent = `${state.set.words} ${state.plane === 'pca' ? state.set.shares : ''}`;
  };
  const keys = () => {
    const scale = data.colours.find((item) => item.by === state.colour);
    groups = new Map(scale.values.map((item) => [item.value, item.colour]));
    legend.replaceChildren(...scale.values.map((item) => {
      const button = ct4.make('button', {type: 'button', 'aria-pressed': 'true'},
        ct4.make('span', {className: 'dot'}), item.title);
      button.firstChild.style.background = item.colour;
      button.addEventListener('click', () => {
        const shown = state.hidden.delete(item.value);
        if (!shown) state.hidden.add(item.value);
        button.setAttribute('aria-pressed', String(shown));
        view.redraw();
      });
      const light = (value) => () => { state.lit = value; view.redraw(); };
      button.addEventListener('mouseenter', light(item.value));
      button.addEventListener('mouseleave', light(null));
      return button;
    }));
  };
  let grid = new Map(), all = [];
  const CELL = 12, EDGE = 10;
  const draw = (context, width, height) => {
    context.clearRect(0, 0, width, height);
    grid = new Map();
    all = [];
    const n = rows.series.length;
    const radius = n > 5000 ? 1.7 : n > 1000 ? 2.3 : 3;
    const at = (i) => [EDGE + state.points.x[i] / 65535 * (width - 2 * EDGE),
      height - EDGE - state.points.y[i] / 65535 * (height - 2 * EDGE)];
    const byGroup = new Map([...groups.keys()].map((value) => [value, []]));
    for (let i = 0; i < n; i++) {
      const value = valueOf(i, state.colour);
      if (byGroup.has(value) && !state.hidden.has(value)) byGroup.get(value).push(i);
    }
    for (const [value, own] of byGroup) {
      context.fillStyle = groups.get(value);
      context.globalAlpha = state.lit !== null && state.lit !== value ? 0.08 : 0.75;
      for (const i of own) {
        const [x, y] = at(i);
        context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
        const cell = `${Math.floor(x / CELL)},${Math.floor(y / CELL)}`;
        if (!grid.has(cell)) grid.set(cell, []);
        grid.get(cell).push([i, x, y]);
        all.push([i, x, y]);
      }
    }
    context.globalAlpha = 1;
    const marked = all.find((item) => item[0] === state.at);
    if (marked) {
      context.strokeStyle = ct4.colour('--ink');
      context.lineWidth = 2;
      context.strokeRect(marked[1] - radius - 4, marked[2] - radius - 4, 2 * radius + 8, 2 * radius + 8);
    }
  };
  // The point that lies next in the direction of an arrow key: near, and rather ahead than aside.
  const next = (from, [right, down]) => {
    let found = null, least = Infinity;
    for (const item of all) {
      const [x, y] = [item[1] - from[1], item[2] - from[2]];
      const [ahead, aside] = [x * right + y * down, Math.abs(x * down) + Math.abs(y * right)];
      if (item[0] !== from[0] && ahead > 0 && ahead + 2 * aside < least) { least = ahead + 2 * aside; found = item; }
    }
    return found;
  };
  const nearest = (x, y) => {
    let found = null, least = 100;
    for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++) {
      for (const item of grid.get(`${Math.floor(x / CELL) + i},${Math.floor(y / CELL) + j}`) || []) {
        const far = (item[1] - x) ** 2 + (item[2] - y) ** 2;
        if (far < least) { least = far; found = item[0]; }
      }
    }
    return found;
  };
  const told = (i) => {
    const own = series[rows.series[i]];
    const lines = [`${own.scanner} (${own.maker}), ${own.dose} mGy, ${own.recon} #${own.repetition}`,
      `${data.rois[rows.roi[i]]}, patch ${rows.patch[i]}`];
    const box = ct4.make('span', {});
    lines.forEach((line) => box.append(ct4.make('span', {className: 'line', textContent: line})));
    const picture = ct4.thumbnail(data.thumbnails, own.uid, data.rois[rows.roi[i]], rows.patch[i]);
    if (picture) box.append(...picture);
    return box;
  };
  read();
  const height = (width) => Math.min(560, Math.max(300, width * 0.62));
  const view = ct4.canvas(place, height, data.label, draw);
  keys();
  view.redraw();
  const point = (event) => {
    const i = nearest(event.offsetX, event.offsetY);
    view.canvas.style.cursor = i === null ? 'default' : 'crosshair';
    if (i === null) ct4.tip.hide(); else ct4.tip.show(event.clientX, event.clientY, told(i));
    event.stopPropagation();
  };
  for (const kind of ['mousemove', 'mouseover', 'click']) view.canvas.addEventListener(kind, point);
  view.canvas.addEventListener('mouseleave', () => ct4.tip.hide());
  const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const go = (item) => {
    if (!item) return;
    state.at = item[0];
    view.redraw();
    const box = view.canvas.getBoundingClientRect();
    ct4.tip.show(box.left + item[1], box.top + item[2], told(item[0]));
  };
  view.canvas.tabIndex = 0;
  view.canvas.setAttribute('role', 'application');
  view.canvas.setAttribute('aria-label', `${data.label}. Arrow keys go from point to point`);
  view.canvas.addEventListener('keydown', (event) => {
    if (!(event.key in ARROWS)) return;
    event.preventDefault();
    const from = all.find((item) => item[0] === state.at);
    go(from ? next(from, ARROWS[event.key]) : all[0]);
  });
  view.canvas.addEventListener('blur', () => { state.at = null; ct4.tip.hide(); view.redraw(); });
  place.append(said);
};
