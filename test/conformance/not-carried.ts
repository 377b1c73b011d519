/** Behaviours that PyTorch RPC checks of itself and that do not carry over, by the names of its tests. */
export interface NotCarried {
  readonly name: string;
  readonly reason: string;
}

export const NOT_CARRIED: readonly NotCarried[] = [
  {
    name: 'test_disable_gil_profiling',
    reason: 'there is no interpreter lock',
  },
];
