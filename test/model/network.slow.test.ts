import '../../base/tfjs/backend-cpu.js';
import { findNetwork } from '../../model/registry.js';
import { itIsAsSummarised } from './summarised.js';

itIsAsSummarised(findNetwork('caffenet'));
