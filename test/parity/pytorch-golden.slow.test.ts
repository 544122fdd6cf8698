import { describeGolden } from './pytorch-golden.js';

describeGolden([0]);
