/** Layers over windows of signals, images and volumes. */
import * as tf from '../tf.ts';
import { type Case, layer } from './case.ts';

const { layers } = tf;

const SIGNAL = [[2, 7, 3]] as const;
const IMAGE = [[2, 5, 6, 2]] as const;
const VOLUME = [[1, 4, 4, 5, 2]] as const;

const convolutions: readonly Case[] = [
  layer('conv1d', () => layers.conv1d({ filters: 2, kernelSize: 3 }), SIGNAL),
  layer(
    'conv1d same, stride 2',
    () => layers.conv1d({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    SIGNAL,
  ),
  layer(
    'conv1d dilated',
    () => layers.conv1d({ filters: 2, kernelSize: 2, padding: 'same', dilationRate: 2 }),
    SIGNAL,
  ),
  layer('conv2d', () => layers.conv2d({ filters: 3, kernelSize: [3, 2] }), IMAGE),
  layer(
    'conv2d same, strides',
    () => layers.conv2d({ filters: 3, kernelSize: 3, strides: [2, 1], padding: 'same' }),
    IMAGE,
  ),
  ...(['relu', 'sigmoid', 'elu', 'tanh'] as const).map((activation) =>
    layer(
      `conv2d ${activation}`,
      () => layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same', activation }),
      IMAGE,
    ),
  ),
  layer(
    'conv2d dilated, relu',
    () => layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2, activation: 'relu' }),
    IMAGE,
  ),
  layer(
    'conv2d dilated',
    () => layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: [2, 1], padding: 'same' }),
    IMAGE,
  ),
  layer(
    'conv2d dilated, channels first, tanh',
    () =>
      layers.conv2d({
        filters: 2,
        kernelSize: 2,
        dilationRate: 2,
        dataFormat: 'channelsFirst',
        activation: 'tanh',
      }),
    [[2, 2, 5, 6]],
  ),
  layer(
    'conv2d, channels first',
    () => layers.conv2d({ filters: 2, kernelSize: 2, dataFormat: 'channelsFirst', useBias: false }),
    [[2, 2, 5, 6]],
  ),
  layer('conv3d', () => layers.conv3d({ filters: 2, kernelSize: [2, 2, 3] }), VOLUME),
  layer(
    'conv3d same, dilated',
    () => layers.conv3d({ filters: 2, kernelSize: 2, dilationRate: 2, padding: 'same' }),
    VOLUME,
  ),
  layer(
    'conv2dTranspose',
    () => layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2 }),
    [[2, 3, 4, 2]],
  ),
  layer(
    'conv2dTranspose same',
    () => layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    [[2, 3, 4, 2]],
  ),
  layer(
    'conv3dTranspose',
    () => layers.conv3dTranspose({ filters: 2, kernelSize: 3, strides: 2 }),
    [[1, 2, 3, 2, 2]],
  ),
  layer(
    'depthwiseConv2d',
    () => layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' }),
    IMAGE,
  ),
  layer(
    'depthwiseConv2d strides',
    () => layers.depthwiseConv2d({ kernelSize: 2, strides: 2 }),
    IMAGE,
  ),
  layer(
    'separableConv2d',
    () => layers.separableConv2d({ filters: 3, kernelSize: 2, depthMultiplier: 2 }),
    IMAGE,
  ),
  layer(
    'separableConv2d relu',
    () =>
      layers.separableConv2d({ filters: 3, kernelSize: 3, padding: 'same', activation: 'relu' }),
    IMAGE,
  ),
];

const poolings: readonly Case[] = [
  layer('maxPooling1d', () => layers.maxPooling1d({ poolSize: 2 }), SIGNAL),
  layer('averagePooling1d', () => layers.averagePooling1d({ poolSize: 3, strides: 1 }), SIGNAL),
  layer(
    'maxPooling2d',
    () => layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    IMAGE,
  ),
  layer('averagePooling2d', () => layers.averagePooling2d({ poolSize: 2 }), IMAGE),
  layer(
    'averagePooling2d same',
    () => layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    IMAGE,
  ),
  layer('maxPooling3d', () => layers.maxPooling3d({ poolSize: 2 }), VOLUME),
  layer('averagePooling3d', () => layers.averagePooling3d({ poolSize: 2 }), VOLUME),
  layer('globalAveragePooling1d', () => layers.globalAveragePooling1d({}), SIGNAL),
  layer('globalMaxPooling1d', () => layers.globalMaxPooling1d({}), SIGNAL),
  layer(
    'globalAveragePooling2d',
    () => layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }),
    IMAGE,
  ),
  layer(
    'globalMaxPooling2d',
    () => layers.globalMaxPooling2d({ dataFormat: 'channelsLast' }),
    IMAGE,
  ),
];

const frames: readonly Case[] = [
  layer(
    'zeroPadding2d',
    () =>
      layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 1],
        ],
      }),
    IMAGE,
  ),
  layer(
    'cropping2D',
    () =>
      layers.cropping2D({
        cropping: [
          [1, 0],
          [1, 2],
        ],
      }),
    IMAGE,
  ),
  layer('upSampling2d', () => layers.upSampling2d({ size: [2, 3] }), IMAGE),
  layer(
    'upSampling2d bilinear',
    () => layers.upSampling2d({ size: [2, 2], interpolation: 'bilinear' }),
    IMAGE,
  ),
  layer('resizing', () => layers.resizing({ height: 7, width: 4 }), IMAGE),
  layer(
    'resizing nearest',
    () => layers.resizing({ height: 3, width: 9, interpolation: 'nearest' }),
    IMAGE,
  ),
];

export const IMAGE_LAYER_CASES: readonly Case[] = [...convolutions, ...poolings, ...frames];
