/** The flag `--provider` of every command that computes. */
import { Option } from 'commander';
import { PROVIDER_CHOICES, PROVIDER_VARIABLE, type ProviderChoice } from '../onnx/backend/provider.js';

/** @param fallback  without flag and variable; undefined: the CPU, and the first line of the output says if there may be a GPU */
export function providerOption(fallback?: ProviderChoice): Option {
  if (process.env[PROVIDER_VARIABLE] === '') delete process.env[PROVIDER_VARIABLE]; // as if it were not set
  const help = 'what onnxruntime computes on; auto: a GPU if there is a real one, else the CPU';
  const option = new Option('--provider <name>', fallback ? help : `${help} (default: cpu)`)
    .choices(PROVIDER_CHOICES)
    .env(PROVIDER_VARIABLE);
  return fallback ? option.default(fallback) : option;
}
