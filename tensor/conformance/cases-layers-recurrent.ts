/** Layers over time, and those that wrap other layers. */
import * as tf from '../tf.ts';
import { type Case, called, layer } from './case.ts';

const { layers } = tf;

const SERIES = [[2, 4, 3]] as const;
const FILM = [[1, 3, 4, 4, 2]] as const;

type Cells = Parameters<typeof layers.stackedRNNCells>[0]['cells'];

export const RECURRENT_LAYER_CASES: readonly Case[] = [
  layer('simpleRNN', () => layers.simpleRNN({ units: 3 }), SERIES),
  layer('simpleRNN relu', () => layers.simpleRNN({ units: 3, activation: 'relu' }), SERIES),
  layer(
    'simpleRNN of all steps, backwards',
    () => layers.simpleRNN({ units: 3, returnSequences: true, goBackwards: true }),
    SERIES,
  ),
  layer('simpleRNNCell', () => layers.rnn({ cell: layers.simpleRNNCell({ units: 2 }) }), SERIES),
  layer('lstm', () => layers.lstm({ units: 3, recurrentActivation: 'sigmoid' }), SERIES),
  layer('lstm hardSigmoid', () => layers.lstm({ units: 3 }), SERIES),
  layer(
    'lstm of all steps',
    () => layers.lstm({ units: 3, recurrentActivation: 'sigmoid', returnSequences: true }),
    SERIES,
  ),
  layer(
    'lstm with states',
    () => layers.lstm({ units: 2, recurrentActivation: 'sigmoid', returnState: true }),
    SERIES,
  ),
  called(
    'lstm from given states',
    () => layers.lstm({ units: 2, recurrentActivation: 'sigmoid' }),
    (made, x, h, c) => made.apply(x, { initialState: [h, c] }) as tf.Tensor,
    [
      [2, 4, 3],
      [2, 2],
      [2, 2],
    ],
  ),
  layer('lstmCell', () => layers.rnn({ cell: layers.lstmCell({ units: 2 }) }), SERIES),
  layer('gru', () => layers.gru({ units: 3, recurrentActivation: 'sigmoid' }), SERIES),
  layer('gru hardSigmoid', () => layers.gru({ units: 3 }), SERIES),
  layer(
    'gru of all steps',
    () => layers.gru({ units: 3, recurrentActivation: 'sigmoid', returnSequences: true }),
    SERIES,
  ),
  layer('gruCell', () => layers.rnn({ cell: layers.gruCell({ units: 2 }) }), SERIES),
  layer(
    'stackedRNNCells',
    () => {
      const cells = [
        layers.simpleRNNCell({ units: 3 }),
        layers.lstmCell({ units: 2, recurrentActivation: 'sigmoid' }),
      ];
      return layers.rnn({ cell: layers.stackedRNNCells({ cells: cells as Cells }) });
    },
    SERIES,
  ),
  layer('rnn of two cells', () => layers.rnn({ cell: cellsOf(), returnSequences: true }), SERIES),
  layer('convLstm2d', () => layers.convLstm2d({ filters: 2, kernelSize: 2 }), FILM),
  layer(
    'convLstm2d of all steps, same',
    () => layers.convLstm2d({ filters: 2, kernelSize: 3, padding: 'same', returnSequences: true }),
    FILM,
  ),
  called(
    'convLstm2dCell',
    () => layers.convLstm2dCell({ filters: 2, kernelSize: 2, padding: 'same' }),
    (cell, x, h, c) => {
      if (!cell.built) cell.build(x.shape);
      return cell.call([x, h, c], {});
    },
    [
      [1, 4, 4, 2],
      [1, 4, 4, 2],
      [1, 4, 4, 2],
    ],
  ),
  ...(['sum', 'mul', 'concat', 'ave', null] as const).map((mergeMode) =>
    layer(
      `bidirectional ${mergeMode}`,
      () => layers.bidirectional({ layer: recurrent(), mergeMode: mergeMode as 'sum' }),
      SERIES,
    ),
  ),
  layer(
    'timeDistributed',
    () => layers.timeDistributed({ layer: layers.dense({ units: 2, activation: 'tanh' }) }),
    SERIES,
  ),
];

function recurrent(): tf.layers.RNN {
  return layers.lstm({
    units: 2,
    recurrentActivation: 'sigmoid',
    returnSequences: true,
  }) as tf.layers.RNN;
}

function cellsOf(): tf.layers.RNNCell[] {
  return [layers.gruCell({ units: 3 }), layers.simpleRNNCell({ units: 2 })];
}
