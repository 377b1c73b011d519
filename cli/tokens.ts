/** The words of a command line as Node's parser sees them, unjudged: each command says itself what it takes. Pure. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];

/** @param options which take a value; others are passed through as tokens too */
export function tokensOf(args: readonly string[], options: Options): readonly Token[] {
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens as Token[];
}
