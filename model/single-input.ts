/** tfjs hands a layer its input bare or in a list of one. */
export function single<T>(input: T | T[]): T {
  return Array.isArray(input) ? input[0] : input;
}
