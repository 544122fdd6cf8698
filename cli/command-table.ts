/**
 * The subcommands of `alexnet`. Each one's module is loaded only when it is called: `alexnet serve` never loads
 * TensorFlow.js, and `--help` loads nothing.
 */
import type { Command } from 'commander';

interface CommandEntry {
  /** In the list of commands. */
  description: string;
  /**
   * Words after the command's name, in its help. What starts with `runs/demo` is there after `alexnet demo`; `photos`
   * is a folder of the reader's.
   */
  example: string;
  load(): Promise<Command>;
}

/** By heading of the list. */
export const COMMAND_GROUPS: Record<string, Record<string, CommandEntry>> = {
  'Start here:': {
    demo: {
      description: 'train, export and serve a small network on embedded images, in minutes',
      example: '--exit',
      load: async () => (await import('./demo.js')).demoCommand(),
    },
    learn: {
      description: 'learn your own classes from a few images each',
      example: 'photos --out runs/photos',
      load: async () => (await import('./learn.js')).learnCommand(),
    },
    classify: {
      description: 'classify images',
      example: 'runs/demo/guitar.png --model runs/demo/emoji.onnx',
      load: async () => (await import('./classify.js')).classifyCommand(),
    },
    serve: {
      description: 'classify images over HTTP, with a page to try it',
      example: '--model runs/demo/emoji.onnx --index runs/demo/emoji.index',
      load: async () => (await import('./serve.js')).serveCommand(),
    },
  },
  'Train and measure:': {
    train: {
      description: 'train a network on images',
      example: '--data emoji --model cifar10-18pct --epochs 2 \\\n    --out runs/emoji',
      load: async () => (await import('./train.js')).trainCommand(),
    },
    evaluate: {
      description: 'measure the errors of a checkpoint or an exported file',
      example: '--run runs/demo --split test-random',
      load: async () => (await import('./evaluate.js')).evaluateCommand(),
    },
    report: {
      description: 'summarise a run as one HTML page',
      example: 'runs/demo --out demo.html',
      load: async () => (await import('./report.js')).reportCommand(),
    },
    'find-lr': {
      description: 'suggest a learning rate for a network and its data',
      example: '--data emoji --model cifar10-18pct --steps 50 \\\n    --plot rates.svg',
      load: async () => (await import('./find-lr.js')).findRateCommand(),
    },
    prepare: {
      description: 'decode a data set once, for training from disk',
      example: '--data photos --size 256 --out photos.pack',
      load: async () => (await import('./prepare.js')).prepareCommand(),
    },
    summary: {
      description: 'show the layers of a network',
      example: '--model alexnet',
      load: async () => (await import('./summary.js')).summaryCommand(),
    },
    reproduce: {
      description: "repeat the paper's experiments",
      example: 'dropout --data emoji --budget 5m',
      load: async () => (await import('./reproduce.js')).reproduceCommand(),
    },
  },
  'Files:': {
    export: {
      description: 'write a checkpoint, or any TensorFlow.js model, as .onnx',
      example: '--run runs/demo --precision fp16 --out emoji-fp16.onnx',
      load: async () => (await import('./export.js')).exportCommand(),
    },
    import: {
      description: 'make a run from weights of PyTorch, Caffe, NumPy or ONNX',
      example: 'torchvision --out runs/torchvision',
      load: async () => (await import('./import.js')).importCommand(),
    },
    inspect: {
      description: 'print what an .onnx file holds',
      example: 'runs/demo/emoji.onnx',
      load: async () => (await import('./inspect.js')).inspectCommand(),
    },
    page: {
      description: 'write a static site that classifies in the browser',
      example: '--model runs/demo/emoji.onnx --out site',
      load: async () => (await import('./page.js')).pageCommand(),
    },
  },
  'Look inside a model:': {
    filters: {
      description: "draw the first layer's kernels",
      example: '--model runs/demo/emoji.onnx --out filters.html',
      load: async () => (await import('./filters.js')).filtersCommand(),
    },
    occlude: {
      description: 'show which part of an image a class depends on',
      example: 'runs/demo/guitar.png --model runs/demo/emoji.onnx \\\n    --out occlusion.html',
      load: async () => (await import('./occlude.js')).occludeCommand(),
    },
    index: {
      description: 'store the features of a data set, to search it by image',
      example: '--model runs/demo/emoji.onnx --data emoji --split val \\\n    --out emoji.index',
      load: async () => (await import('./index.js')).indexCommand(),
    },
    neighbours: {
      description: 'find the images most similar to one',
      example: 'runs/demo/guitar.png --model runs/demo/emoji.onnx \\\n    --index runs/demo/emoji.index',
      load: async () => (await import('./neighbours.js')).neighboursCommand(),
    },
  },
};

/** By name. */
export const COMMANDS: Record<string, CommandEntry> = Object.assign({}, ...Object.values(COMMAND_GROUPS));
