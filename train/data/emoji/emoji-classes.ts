/**
 * The embedded data set: one hundred everyday objects, each drawn by seven vendors. Drawings come through npm as
 * `@iconify-json/<vendor>`; the names below are icon names or aliases in all seven packages.
 */

/** A vendor's package, `@iconify-json/<name>`, and the licence its drawings are under. */
export interface Vendor {
  name: string;
  licence: string;
}

/** Trained on. Fluent's 3D set is left out: it repeats the flat one. */
export const TRAINING_VENDORS: readonly Vendor[] = [
  { name: 'noto', licence: 'Apache-2.0' },
  { name: 'noto-v1', licence: 'Apache-2.0' },
  { name: 'openmoji', licence: 'CC-BY-SA-4.0' },
  { name: 'fluent-emoji-flat', licence: 'MIT' },
  { name: 'emojione', licence: 'CC-BY-4.0' },
  { name: 'emojione-v1', licence: 'CC-BY-SA-4.0' },
];

/** Tested on; no training image comes from it. */
export const HELD_OUT_VENDOR: Vendor = { name: 'twemoji', licence: 'CC-BY-4.0' };

/** Class labels in index order. */
// biome-ignore format: a word list
export const EMOJI_CLASSES: readonly string[] = [
  'airplane', 'ambulance', 'automobile', 'balloon', 'banana', 'baseball', 'basketball', 'bear', 'bell', 'bicycle',
  'birthday-cake', 'bomb', 'bus', 'cat-face', 'camera', 'castle', 'cherries', 'chocolate-bar', 'cloud',
  'cocktail-glass', 'cow-face', 'crescent-moon', 'crown', 'deciduous-tree', 'dog-face', 'dolphin', 'doughnut', 'ear',
  'eggplant', 'elephant', 'evergreen-tree', 'ferris-wheel', 'fire', 'fish', 'four-leaf-clover', 'french-fries', 'frog',
  'gem-stone', 'ghost', 'glasses', 'grapes', 'guitar', 'hamburger', 'hammer', 'handbag', 'helicopter',
  'high-heeled-shoe', 'hot-beverage', 'hourglass-done', 'house', 'ice-cream', 'jack-o-lantern', 'jeans', 'key',
  'laptop', 'light-bulb', 'locked', 'maple-leaf', 'mobile-phone', 'monkey-face', 'mouth', 'mushroom',
  'musical-keyboard', 'necktie', 'octopus', 'palm-tree', 'panda', 'peach', 'penguin', 'pig-face', 'pill', 'pineapple',
  'pizza', 'rabbit-face', 'rainbow', 'red-apple', 'red-heart', 'rocket', 'rose', 'sailboat', 'scissors', 'skull',
  'snail', 'snake', 'snowflake', 'snowman-without-snow', 'soccer-ball', 'spouting-whale', 'star', 'strawberry', 'sun',
  'sunflower', 't-shirt', 'telephone', 'television', 'tennis', 'thumbs-up', 'tomato', 'top-hat', 'tractor',
];
