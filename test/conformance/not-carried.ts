/** Behaviours that the peer tests of itself and that cannot carry over, by the name of its test. */
export interface NotCarried {
  readonly name: string;
  readonly reason: string;
}

export const NOT_CARRIED: readonly NotCarried[] = [
  {
    name: 'test_use_rpc_pickler',
    reason:
      'values are a closed set; own classes enter by rpc.registerValue, no serialiser can be swapped',
  },
  {
    name: 'test_my_parameter_server_sparse',
    reason: 'later: SparseSlices travel, gradients are dense',
  },
];
