/** Where the page begins. */
import { render } from 'preact';
import './style/tokens.css';
import './style/base.css';
import './style/controls.css';
import './style/chapter.css';
import './classify/classify.css';
import './inside/inside.css';
import './why/why.css';
import './model/model.css';
import { App } from './app.js';

const root = document.getElementById('page')!;
root.textContent = ''; // what stands there until this runs
render(<App />, root);
