// Features sorted by ICC, each with its interval; hover names it.
'use strict';
ct4.views.ranks = (place, data) => {
  const state = {set: data.sets[0], form: data.forms[0], word: ''};
  let shown = [];
  const controls = ct4.make('div', {className: 'tools'});
  const [sets] = ct4.select('Features', data.sets.map((set, i) => [i, set.title]), (value) => {
    state.set = data.sets[value]; change();
  });
  const [forms] = ct4.select('Form', data.forms.map((form) => [form, form]), (value) => { state.form = value; change(); });
  const filter = ct4.make('input', {type: 'search', placeholder: 'Name or class', 'aria-label': 'Features to show'});
  filter.addEventListener('input', () => { state.word = filter.value.toLowerCase(); change(); });
  const said = ct4.make('span', {className: 'note', role: 'status'});
  controls.append(sets, forms, filter, said);
  place.append(controls);
  const LEFT = 44, FOOT = 22, TOP = 8;
  const scale = (width) => (value) => LEFT + (Math.max(-0.25, value) + 0.25) / 1.25 * (width - LEFT - 8);
  const change = () => { pick(); view.redraw(); };
  const pick = () => {
    const [value, low, high] = state.set.values[state.form];
    shown = state.set.names.map((name, i) => ({name, kind: state.set.classes[state.set.kinds[i]], value: value[i],
      low: low[i], high: high[i]})).filter((item) => item.value !== null &&
        `${item.name} ${item.kind}`.toLowerCase().includes(state.word));
    shown.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
    said.textContent = `${shown.length} of ${state.set.names.length} features`;
  };
  const draw = (context, width, height) => {
    const x = scale(width), high = height - FOOT - TOP, step = high / Math.max(1, shown.length);
    context.clearRect(0, 0, width, height);
    context.font = '12px system-ui, sans-serif';
    context.textAlign = 'center';
    for (const [at, name] of data.grades) {
      context.strokeStyle = ct4.colour('--line');
      context.beginPath(); context.moveTo(x(at), TOP); context.lineTo(x(at), height - FOOT); context.stroke();
      context.fillStyle = ct4.colour('--soft');
      context.fillText(name, x(at), height - 6);
    }
    context.lineWidth = Math.max(1, Math.min(3, step * 0.5));
    shown.forEach((item, i) => {
      const y = TOP + (i + 0.5) * step;
      context.strokeStyle = ct4.colour('--faint');
      if (item.low !== null) {
        context.beginPath(); context.moveTo(x(item.low), y); context.lineTo(x(item.high), y); context.stroke();
      }
      context.fillStyle = state.set.colours[state.set.classes.indexOf(item.kind)];
      const size = Math.max(1.5, Math.min(3.5, step * 0.7));
      context.fillRect(x(item.value) - size, y - size, 2 * size, 2 * size);
    });
    context.save();
    context.translate(14, height / 2); context.rotate(-Math.PI / 2);
    context.fillStyle = ct4.colour('--soft');
    context.fillText('features, the most alike first', 0, 0);
    context.restore();
  };
  pick();
  const view = ct4.canvas(place, () => 360, data.label, draw);
  const digits = (value) => (value === null ? '\u2013' : value.toFixed(3).replace('-', '\u2212'));
  const point = (event) => {
    const high = view.canvas.clientHeight - FOOT - TOP;
    const item = shown[Math.floor((event.offsetY - TOP) / high * shown.length)];
    event.stopPropagation();
    if (!item) { ct4.tip.hide(); return; }
    ct4.tip.show(event.clientX, event.clientY,
      ct4.make('span', {className: 'line', textContent: `${item.name} (${item.kind})`}),
      ct4.make('span', {className: 'line', textContent:
        `${state.form} ${digits(item.value)}, 95 % interval ${digits(item.low)} to ${digits(item.high)}`}));
  };
  for (const kind of ['mousemove', 'mouseover', 'click']) view.canvas.addEventListener(kind, point);
  view.canvas.addEventListener('mouseleave', () => ct4.tip.hide());
  place.append(ct4.make('p', {className: 'note'}, 'Colours are classes of features: ',
    ct4.make('span', {className: 'keys'})));
  const keys = place.querySelector('.keys');
  const legend = () => keys.replaceChildren(...state.set.classes.map((name, i) => {
    const item = ct4.make('span', {className: 'key'}, ct4.make('span', {className: 'dot'}), name);
    item.firstChild.style.background = state.set.colours[i];
    return item;
  }));
  legend();
  sets.querySelector('select').addEventListener('change', legend);
};
