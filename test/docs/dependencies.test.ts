/** What comes with gradwire (T20): a change of these packages is a change of this list, for people to see. */
import { expect, test } from '@jest/globals';
import { readText } from '../support/documents.ts';

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
}

const { packages } = JSON.parse(readText('package-lock.json')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
const locked = Object.entries(packages).filter(([path]) => path !== '');
const shipped = locked.filter(([, { dev }]) => dev !== true);

test('npm ls --omit=dev: these packages and no others, in these versions', () => {
  const names = shipped.map(
    ([path, { version }]) => `${path.replace('node_modules/', '')} ${version}`,
  );
  expect(names.sort()).toEqual([
    '@bufbuild/protobuf 2.17.0',
    '@grpc/grpc-js 1.14.7',
    '@grpc/proto-loader 0.8.1',
    '@js-sdsl/ordered-map 4.4.2',
    '@peculiar/asn1-schema 2.11.1',
    '@peculiar/asn1-x509 2.11.1',
    '@peculiar/utils 2.0.3',
    '@protobufjs/aspromise 1.1.2',
    '@protobufjs/base64 1.1.2',
    '@protobufjs/codegen 2.0.5',
    '@protobufjs/eventemitter 1.1.1',
    '@protobufjs/fetch 1.1.1',
    '@protobufjs/float 1.0.2',
    '@protobufjs/path 1.1.2',
    '@protobufjs/pool 1.1.0',
    '@protobufjs/utf8 1.1.2',
    '@tensorflow/tfjs-backend-cpu 4.22.0',
    '@tensorflow/tfjs-backend-wasm 4.22.0',
    '@tensorflow/tfjs-core 4.22.0',
    '@tensorflow/tfjs-core/node_modules/long 4.0.0',
    '@tensorflow/tfjs-layers 4.22.0',
    '@types/emscripten 0.0.34',
    '@types/long 4.0.2',
    '@types/node 20.19.43',
    '@types/offscreencanvas 2019.7.3',
    '@types/seedrandom 2.4.34',
    '@webgpu/types 0.1.38',
    'ansi-regex 5.0.1',
    'ansi-styles 4.3.0',
    'asn1js 3.1.0',
    'cliui 8.0.1',
    'color-convert 2.0.1',
    'color-name 1.1.4',
    'emoji-regex 8.0.0',
    'escalade 3.2.0',
    'get-caller-file 2.0.5',
    'is-fullwidth-code-point 3.0.0',
    'lodash.camelcase 4.3.0',
    'long 5.3.2',
    'node-fetch 2.6.13',
    'protobufjs 7.6.6',
    'pvtsutils 1.3.6',
    'pvutils 1.2.0',
    'require-directory 2.1.1',
    'rxjs 7.8.2',
    'seedrandom 3.0.5',
    'string-width 4.2.3',
    'strip-ansi 6.0.1',
    'tr46 0.0.3',
    'tslib 2.9.1',
    'undici-types 6.21.0',
    'uuid 14.0.3',
    'webidl-conversions 3.0.1',
    'whatwg-url 5.0.0',
    'wrap-ansi 7.0.0',
    'y18n 5.0.8',
    'yargs 17.7.3',
    'yargs-parser 21.1.1',
  ]);
});

test('one of them runs something when it is installed, and need not: npm ci --ignore-scripts does', () => {
  const running = shipped.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  // It compares versions and prints.
  expect(running.map(([path]) => path)).toEqual(['node_modules/protobufjs']);
});

test('each is pinned by its hash, and none comes from a place of its own', () => {
  expect(shipped.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? ''))).toEqual([]);
  const elsewhere = locked.filter(
    ([, { resolved }]) =>
      resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'),
  );
  expect(elsewhere).toEqual([]);
});

test('what the package asks for is one version each', () => {
  const { dependencies } = JSON.parse(readText('package.json')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  expect(Object.values(dependencies).filter((range) => !/^\d+\.\d+\.\d+$/.test(range))).toEqual([]);
});
