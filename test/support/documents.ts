/** The repository as a reader sees it: its documents, its sources, and what stands in tables and code spans. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The tests run from dist/test/…, two folders below what they were compiled from. */
export const ROOT: string = join(dirname(fileURLToPath(import.meta.url)), '../../..');

export const DOCUMENTS: readonly string[] = [
  'README.md',
  'ARCHITECTURE.md',
  'FEATURES.md',
  'ERRORS.md',
  'FAULTS.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'AGENTS.md',
  'examples/README.md',
];

/** The text of a file by its path from the root of the repository. */
export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** TypeScript files below a folder, by their paths from the root; generated ones left out. */
export function sourcesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'gen' ? [] : sourcesOf(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

/** The rows of all tables, without heads: cells by column. */
export function tableRows(markdown: string): string[][] {
  const lines = markdown.split('\n');
  const isRow = (line: string | undefined): boolean => line?.startsWith('|') === true;
  const isRule = (line: string | undefined): boolean => /^\|[\s|:-]+\|$/.test(line ?? '');
  return lines
    .filter((line, i) => isRow(line) && !isRule(line) && !isRule(lines[i + 1]))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

/** Code spans, without the fenced blocks. */
export function codeSpans(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, '');
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text as string);
}

/** The texts of the fenced blocks in one language. */
export function fencedBlocks(markdown: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm');
  return [...markdown.matchAll(fence)].map(([, text]) => text as string);
}
