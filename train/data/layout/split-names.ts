/**
 * Which split a name says, of a folder or a shard: one rule for every form of data set.
 *   train   train, training, trainval        val   val, valid, validation, dev        test   test, testing, eval, evaluation
 * in any case, alone (`Training_Set`, `test2`, `valImages`) or with words of its own before or after (`xyz_train`,
 * `cats-val`). Whether a folder so named is a split is for its contents to say, see `find-layout.ts`: there are toy
 * trains and test tubes.
 */

/** What a name says. */
export interface SplitName {
  split: string;
  /**
   * Its other words, those that every split may have (`set`, `images`) left out: empty for `Training_Set`, `xyz` for
   * `xyz_train`.
   */
  rest: string;
}

const THINGS = '(?:sets?|data|datasets?|split|images?|imgs?|pictures|photos|folder|dir)';
const THING = new RegExp(`^${THINGS}$`);
const WORDS = [
  ['train', 'train(?:ing)?(?:val(?:id(?:ation)?)?)?'],
  ['val', 'val(?:id(?:ation)?)?|dev'],
  ['test', 'test(?:ing)?|eval(?:uation)?'],
].map(([split, forms]) => ({ split, form: new RegExp(`^(?:${forms})${THINGS}?$`) }));
const SYNSET = /^n\d{8}/;
/** The boundaries in `xyzTrain` and `XYZTrain`. */
const CAPITALS = /(\p{Ll})(?=\p{Lu})|(\p{Lu})(?=\p{Lu}\p{Ll})/gu;

/**
 * @returns undefined if it names none, or several at once, as `train_test` does; `train_val`, both together, is to
 *   train on
 */
export function splitName(name: string): SplitName | undefined {
  if (SYNSET.test(name)) return undefined;
  return fromWords(name) ?? fromWords(name.replace(CAPITALS, '$1$2 '));
}

function fromWords(name: string): SplitName | undefined {
  const words = name.toLowerCase().match(/\p{L}+/gu) ?? [];
  const found = new Set<string>();
  const rest: string[] = [];
  for (const word of words) {
    const split = WORDS.find(({ form }) => form.test(word))?.split;
    if (split) found.add(split);
    else if (!THING.test(word)) rest.push(word);
  }
  const both = found.size === 2 && !found.has('test');
  if (found.size !== 1 && !both) return undefined;
  return { split: both ? 'train' : [...found][0], rest: rest.join(' ') };
}
