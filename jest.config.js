// Test files run side by side, so each computes with one thread; `GRADWIRE_THREADS=2 npm test` runs all of them with two.
process.env.GRADWIRE_THREADS ??= '1';

export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/dist/test/**/*.test.js'],
  transform: {},
  testTimeout: 30_000,
  maxWorkers: 2,
};
