/** `ALEXNET_PROFILE=PREFIX`: onnxruntime writes a trace of every session to PREFIX_<time>.json, for chrome://tracing. */
export const profilePrefix = process.env.ALEXNET_PROFILE;

/** For a session's options. The trace is written when the session is released. */
export const profiling = profilePrefix ? { enableProfiling: true, profileFilePrefix: profilePrefix } : {};
