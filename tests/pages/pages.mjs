// The Markdown pages of the project, and the blocks in them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

// Paths from the root of all files of the project, without what it builds or runs.
export function files(folder = root) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [relative(root, path)];
    return ['.git', 'build', 'runs', 'node_modules'].includes(entry.name) ? [] : files(path);
  });
}

export const read = (page) => readFileSync(join(root, page), 'utf8');

// Fenced blocks: {language, line, lines}; `line` is that of the first of `lines`, from 1.
export function blocks(text) {
  const found = [];
  let open;
  text.split('\n').forEach((line, index) => {
    const fence = /^```(\w*)$/.exec(line);
    if (!open && fence) open = { language: fence[1], line: index + 2, lines: [] };
    else if (open && line === '```') { found.push(open); open = undefined; }
    else if (open) open.lines.push(line);
  });
  if (open) throw new Error(`the block at line ${open.line - 1} does not end`);
  return found;
}

// The commands of a `sh` block: {line, text}. A command goes on after a backslash, and to the end of a here-document.
export function commands(block) {
  const found = [];
  let open;
  let end;
  block.lines.forEach((line, index) => {
    if (!open && /^\s*(#|$)/.test(line)) return;
    open ??= { line: block.line + index, text: [] };
    open.text.push(line);
    end ??= /<<'?(\w+)'?/.exec(line)?.[1];
    if (end ? line !== end : line.endsWith('\\')) return;
    found.push({ line: open.line, text: open.text.join('\n') });
    open = end = undefined;
  });
  if (open) throw new Error(`the command at line ${open.line} does not end`);
  return found;
}

export const exists = (path) => existsSync(join(root, path));
