// The same slice over scanners: a choice of what is shown. Without it, and on paper, all of it is.
'use strict';
ct4.slices = () => {
  for (const view of document.querySelectorAll('.slices')) {
    const panels = view.querySelector('.panels');
    const kinds = [['image', 'the slice'], ['difference', `less ${view.dataset.reference}`], ['both', 'both']];
    const show = (kind) => {
      panels.classList.toggle('no-image', kind === 'difference');
      panels.classList.toggle('no-difference', kind === 'image');
    };
    const [what] = ct4.select('Show', kinds, show);
    const [size] = ct4.select('Size', [['small', 'small'], ['large', 'large']], (value) => {
      panels.classList.toggle('large', value === 'large');
    });
    const insets = ct4.make('button', {type: 'button', textContent: 'Close-ups', 'aria-pressed': 'true'});
    insets.addEventListener('click', () => {
      insets.setAttribute('aria-pressed', String(!panels.classList.toggle('no-insets')));
    });
    show('image');
    panels.before(ct4.make('div', {className: 'tools'}, what, size, insets));
  }
};
