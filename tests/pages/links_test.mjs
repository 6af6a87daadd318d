// What pages name exists: links, headings, paths and file names.
import assert from 'node:assert/strict';
import { basename, dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { blocks, exists, files, read } from './pages.mjs';

const all = files();
const pages = all.filter((file) => file.endsWith('.md'));
const names = new Set(all.map((file) => basename(file)));
// Written by a run or by other tools.
const made = /^(report\.html|(architecture|config|environment|found|front|quantized|result)\.yaml|found-(conv|hybrid)\.yaml|log\.jsonl|(compare|measured|profiles|rank|report|sweep)\.(csv|json)|(model|weights|checkpoint)\.safetensors)$/;

// GitHub's anchor of a heading.
const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
const anchors = (page) => [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));

// "a/{b,c}.md" -> "a/b.md", "a/c.md"; a * stands for any name.
function missing(path) {
  const braces = /^(.*)\{(.*)\}(.*)$/.exec(path);
  if (braces) return braces[2].split(',').some((part) => missing(braces[1] + part + braces[3]));
  if (!path.includes('*')) return !exists(path);
  const pattern = new RegExp(`^${path.split('*').map((part) => part.replace(/[.\\+]/g, '\\$&')).join('[^/]*')}$`);
  return !all.some((file) => pattern.test(file));
}

for (const page of pages) {
  const text = read(page);
  const dead = (what) => assert.fail(`${page} names what is not there: ${what}`);

  test(`${page}: links lead somewhere`, () => {
    for (const [, target] of text.matchAll(/\]\(\s*([^)\s]+)\s*\)/g)) {
      if (/^\w+:/.test(target)) continue;
      const [path, heading] = target.split('#');
      const file = path === '' ? page : normalize(join(dirname(page), path));
      if (!exists(file)) dead(target);
      if (heading && !anchors(file).includes(heading)) dead(target);
    }
  });

  test(`${page}: paths and file names are of this tree`, () => {
    for (const [path] of text.matchAll(/(?<![\w./-])(space|roofline|supernet|search|experiments|tests|\.github|\.ci)\/[\w./*{},-]*/g)) {
      const trimmed = path.replace(/[.,]+$/, '').replace(/\/$/, '');
      if (trimmed !== 'tests/ridgewalk' && missing(trimmed)) dead(path);
    }
    const prose = text.replace(/^```[^]*?^```$/gm, '');
    for (const [, name] of prose.matchAll(/`([\w.-]+\.(?:h|cc|yaml|csv|json|md|mjs|js|cmake|html|jsonl|safetensors))`/g)) {
      if (!names.has(name) && !made.test(name)) dead(name);
    }
  });
}

test('presets, tests and benchmarks that pages name are those of CMake', () => {
  const presets = JSON.parse(read('CMakePresets.json')).configurePresets.map(({ name }) => name);
  const lists = all.filter((file) => basename(file) === 'CMakeLists.txt').map(read).join('\n');
  for (const page of pages) {
    for (const [, name] of read(page).matchAll(/--preset (\w+)/g)) assert.ok(presets.includes(name), `${page}: preset ${name}`);
    for (const [target, name, kind] of read(page).matchAll(/\bridgewalk_(\w+)_(tests|bench)\b/g)) {
      const call = kind === 'tests' ? `ridgewalk_test(${name.replaceAll('_', '.')}\n` : `ridgewalk_bench(${name}\n`;
      assert.ok(lists.includes(call), `${page}: no target is named ${target}`);
    }
  }
});

test('README.md is short, and its lines are', () => {
  const lines = read('README.md').trimEnd().split('\n');
  assert.ok(lines.length <= 120, `${lines.length} lines`);
  lines.forEach((line, index) => assert.ok(line.length <= 110, `README.md:${index + 1} has ${line.length} columns`));
});

test("README.md's program is the one that tests/package builds and runs", () => {
  const text = read('README.md');
  const [program] = blocks(text).filter(({ language }) => language === 'cpp');
  assert.equal(program.lines.join('\n') + '\n', read('tests/package/outside/main.cc'));
  const output = /output STREQUAL "(.*)"\)/.exec(read('tests/package/test.cmake'))[1].replaceAll('\\n', '\n');
  assert.ok(text.includes('```text\n' + output + '```'), `README.md does not show that it prints\n${output}`);
});
