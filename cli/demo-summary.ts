/** The box at the end of the demo: what it measured, what the server answered, what to do next. */
import { relative } from 'node:path';
import { percent } from '../base/format.js';
import { framed, stylesOf } from '../base/terminal.js';
import type { Prediction } from '../serve/served-model.js';

/** Errors on drawings that were not trained on: the file's, and those of the nearest training image. */
export interface Measured {
  title: string;
  network: number;
  neighbour: number;
}

/** What the server said to a drawing of `label`. */
export interface Answer {
  label: string;
  best: Prediction;
  second: Prediction;
  ms: number;
}

export interface Summary {
  measured: readonly Measured[];
  answers: readonly Answer[];
  /** Class of the image that the user is to post. */
  posted: string;
  image: string;
  file: string;
  /** Of the images that the page finds the nearest in. */
  index: string;
  /** Of the server, if it stays. */
  url?: string;
}

export function demoSummary({ measured, answers, posted, image, file, index, url }: Summary): string {
  const { bold, dim, cyan } = stylesOf(process.stdout);
  const row = (title: string, network: string, neighbour: string) =>
    title.padEnd(46) + network.padStart(9) + neighbour.padStart(24);
  const right = answers.filter(isRight);
  const sureAndWrong = surest(answers.filter((answer) => !isRight(answer)));
  const shown = [right.find(({ label }) => label === posted) ?? surest(right), sureAndWrong];
  const ms = answers.map((answer) => answer.ms).sort((a, b) => a - b)[answers.length >> 1];
  return framed([
    bold(row('Errors on drawings of a vendor it never saw', 'network', 'nearest training image')),
    ...measured.map(({ title, network, neighbour }) => row(`  ${title}`, percent(network, 1), percent(neighbour, 1))),
    '',
    bold(`Posted to the server: ${right.length} of ${answers.length} right, ${ms.toFixed(0)} ms each`),
    ...shown.flatMap((answer) => (answer ? [answerLine(answer)] : [])),
    '',
    `${dim('file')}  ${file}`,
    ...(url
      ? [
          `${dim('try')}   curl --data-binary @${relative('', image)} ${url}/classify`,
          '',
          `${bold('Open')} ${cyan(url)}   Ctrl-C stops the server`,
        ]
      : [`${dim('next')}  npx alexnet serve --model ${file} --index ${index}`]),
  ]);
}

const isRight = ({ label, best }: Answer) => label === best.label;

const surest = (answers: readonly Answer[]): Answer | undefined =>
  [...answers].sort((a, b) => b.best.probability - a.best.probability)[0];

function answerLine(answer: Answer): string {
  const { green, red } = stylesOf(process.stdout);
  const said = ({ label, probability }: Prediction) => `${label} ${percent(probability, 0)}`;
  const mark = isRight(answer) ? green('✓') : red('✗');
  return `  ${mark} ${answer.label.padEnd(16)} → ${said(answer.best)}, ${said(answer.second)}`;
}
