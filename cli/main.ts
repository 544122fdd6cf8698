#!/usr/bin/env node
/** The command `alexnet`. The rest is loaded once modules are read one after another, see `few-open-files.ts`. */
import '../base/few-open-files.js';

const { runCommand } = await import('./commands.js');
await runCommand(process.argv.slice(2));
