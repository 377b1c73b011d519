/** The methods of PyTorch's modules that a RemoteModule does not have, and what stands in their place. */

/** By hint: names as PyTorch's in camelCase. */
const GROUPS: readonly (readonly [names: string, hint: string])[] = [
  ['parameters namedParameters', 'use remoteParameters(), which gives references to them'],
  [
    'registerBuffer registerParameter addModule buffers namedBuffers children namedChildren modules namedModules requiresGrad',
    'what a module is made of is the business of its class, on its own worker',
  ],
  [
    'to cpu cuda ipu xpu type float double half bfloat16 shareMemory',
    'a module stays on its worker and in float32',
  ],
  [
    'registerBackwardHook registerForwardPreHook registerForwardHook apply',
    'functions are never sent: register one and call it with getModuleRRef()',
  ],
  [
    'stateDict loadStateDict extraRepr',
    'give the class a method and call it: getModuleRRef().rpcSync()',
  ],
  ['zeroGrad', 'every autograd context has gradients of its own: there is nothing to zero'],
];

/** Each name with what to do instead. */
export const REFUSALS: ReadonlyMap<string, string> = new Map(
  GROUPS.flatMap(([names, hint]) => names.split(' ').map((name) => [name, hint] as const)),
);
