import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html, table } from '../../../train/report/html.js';

test('escapes what is put into a template, and leaves HTML as it is', () => {
  const inner = html`<b>${'<&>'}</b>`;
  const page = html`<p title="${'"\'>'}">${inner}${[inner, 'a<b', 7, undefined]}</p>`;
  assert.equal(page.text, '<p title="&quot;&#39;&gt;"><b>&lt;&amp;&gt;</b><b>&lt;&amp;&gt;</b>a&lt;b7</p>');
});

test('makes a table with a caption and heads for rows and columns', () => {
  const { text } = table('Sizes & <more>', [{ name: 'name' }, { name: 'size', isNumber: true }], [['a<b', 3]]);
  assert.match(text, /role="region" tabindex="0" aria-label="Sizes &amp; &lt;more&gt;"/);
  assert.match(text, /<caption>Sizes &amp; &lt;more&gt;<\/caption>/);
  assert.match(text, /<th scope="col">name<\/th><th scope="col" class="number">size<\/th>/);
  assert.match(text, /<th scope="row">a&lt;b<\/th><td class="number">3<\/td>/);
  assert.doesNotMatch(table('x', [{ name: '' }, { name: '' }], [['a', 'b']]).text, /<thead>/);
});
