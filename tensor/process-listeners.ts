/**
 * Undoes what Emscripten does to a process: the runtime of the wasm engine adds listeners for uncaught exceptions and
 * rejections that only throw again, which would turn off a server's own handling and Node's report. It knows nothing of
 * tensors.
 */
import type { KernelBackend } from '@tensorflow/tfjs-core';

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

// Loading is asynchronous, so the program may add listeners of its own meanwhile: these are known by their text.
const EMSCRIPTEN = /instanceof ExitStatus|^function\s*\(reason\)\s*\{\s*throw reason;?\s*\}$/;

type Listeners = ReturnType<typeof process.rawListeners>;

/** Runs `make`, removes the listeners that Emscripten added, and keeps the disposal of the engine from removing others. */
export async function withoutEmscriptenListeners(
  make: () => Promise<KernelBackend>,
): Promise<KernelBackend> {
  const before = snapshot();
  try {
    const backend = await make();
    keepListenersOnDispose(backend);
    return backend;
  } finally {
    for (const [i, event] of EVENTS.entries()) {
      for (const listener of process.rawListeners(event)) {
        if (before[i]?.includes(listener) || !EMSCRIPTEN.test(String(listener))) continue;
        process.removeListener(event, listener as () => void);
      }
    }
  }
}

/** Emscripten's `dispose` means to remove its own listeners, but its filter lets all of them through. */
function keepListenersOnDispose(backend: KernelBackend): void {
  const dispose = backend.dispose.bind(backend);
  backend.dispose = () => {
    const before = snapshot();
    try {
      dispose();
    } finally {
      for (const [i, event] of EVENTS.entries()) {
        const left = process.rawListeners(event);
        for (const listener of before[i] ?? []) {
          if (!left.includes(listener)) process.on(event, listener as () => void);
        }
      }
    }
  };
}

function snapshot(): Listeners[] {
  return EVENTS.map((event) => process.rawListeners(event));
}
