/** The forms that rules use where a provider lacks an operator, on the cpu provider: the tests of these rules once more. */
import { LACKS } from '../../onnx/backend/provider.js';

const everything = new Set(Object.values(LACKS).flatMap((forms) => [...forms]));
Object.assign(LACKS, { cpu: everything });

await import('./lowerings.test.js');
await import('./lowerings-space.test.js');
await import('./lowerings-moving.test.js');
await import('./lowerings-reduction.test.js');
await import('./lowerings-unary.test.js');
