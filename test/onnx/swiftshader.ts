/** SwiftShader, a GPU in software, as Debian's chromium brings it. */
import { existsSync } from 'node:fs';

const DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Why a test that needs it is skipped; false if it is here. */
export const withoutSwiftshader = existsSync(DRIVER) ? false : `needs ${DRIVER} (Debian's chromium)`;

/** This process's environment, with onnxruntime on SwiftShader over WebGPU. */
export const onSwiftshader = { ...process.env, ALEXNET_PROVIDER: 'webgpu', VK_DRIVER_FILES: DRIVER };
