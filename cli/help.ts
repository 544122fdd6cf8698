/** How the help of every command looks: headings in bold, lines of 80 to 100 columns, an example at the end. */
import { type Command, Help, type Option } from 'commander';
import { STYLED } from '../base/terminal.js';
import { COMMANDS } from './command-table.js';
import { withFlagOfWord } from './misplaced-words.js';

const MOST_COLUMNS = 100;
/** Where nobody can tell: in pipes. */
const USUAL_COLUMNS = 80;

/** Commander itself takes the styles out again where no colours are shown. */
export function configureHelp(command: Command): Command {
  const width = ({ columns }: NodeJS.WriteStream) => Math.min(columns || USUAL_COLUMNS, MOST_COLUMNS);
  return command
    .configureHelp({
      styleTitle: STYLED.bold,
      styleOptionTerm: STYLED.cyan,
      styleArgumentTerm: STYLED.cyan,
      styleSubcommandTerm: STYLED.cyan,
      optionDescription,
    })
    .configureOutput({
      getOutHelpWidth: () => width(process.stdout),
      getErrHelpWidth: () => width(process.stderr),
    });
}

/** The default of a flag that is off says nothing, nor does an empty list or text. */
function optionDescription(option: Option): string {
  const saysNothing = ['false', '[]', '{}', '""'].includes(JSON.stringify(option.defaultValue));
  const shown = saysNothing ? Object.assign(Object.create(option), { defaultValue: undefined }) : option;
  return new Help().optionDescription(shown);
}

/** A command with all its flags, and its example below them. */
export async function loadCommand(name: string): Promise<Command> {
  const { load, example } = COMMANDS[name];
  const command = configureHelp(await load()).exitOverride();
  command.helpOption(true); // in the last group
  command.configureOutput({ outputError: (text, write) => write(withFlagOfWord(text, command)) });
  command.showHelpAfterError(`"alexnet ${name} --help" lists its flags and gives an example`);
  const title = example.includes('runs/demo') ? 'Example, after "alexnet demo":' : 'Example:';
  return command.addHelpText('after', `\n${STYLED.bold(title)}\n  npx alexnet ${name} ${example}`);
}
