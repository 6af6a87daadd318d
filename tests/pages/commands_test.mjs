// Runs the commands of every README.md and of CONTRIBUTING.md, in the order of the page: in a working folder that
// looks like the project's root, long ones at reduced size. What a block ```output shows must be printed by the block
// of commands before it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeImages } from '../report/images.mjs';
import { blocks, commands, files, read, root } from './pages.mjs';

const program = process.env.RIDGEWALK_PROGRAM;
const folder = mkdtempSync(join(tmpdir(), 'ridgewalk-pages-'));
after(() => rmSync(folder, { recursive: true, force: true }));

// Not run: [what, why].
const notRun = [
  [/^(\.\/)?tests\//, 'runs tests, this one among them'],
  [/^(cmake|ctest) /, 'builds, or runs this test'],
  [/^(\w+=\S+ )?(node )?build\/(?!release\/)/, 'tests, fuzzers and benchmarks of another build: minutes long'],
  [/^experiments\/install-packages /, 'installs packages'],
  [/^python3 -m pip /, 'downloads up to 3 GB'],
  [/^(torchrun|srun|mpirun) /, 'launchers that the tests do not install'],
  [/^git ls-files .*clang-format/, 'rewrites the sources'],
];

// Configurations: [what, its reduction].
const smallConfiguration = [
  [/\bdata: fashion-mnist$/gm, `data: idx:${folder}`],
  [/\bsearch_validation: \d+/g, 'search_validation: 100'],
  [/, candidates: \d+/g, ''],
  // In proportion, which compare asks for; from so few steps nothing but the target chooses among many candidates,
  // so that the stage after coarse can reach it.
  [/\bsteps: (\d+)/g, (_, steps) => `steps: ${Math.ceil(steps / 200)}, candidates: 64`],
  [/\bbeta: -0\.2\b/g, 'beta: -20'],
  [/\bthreads: \d+/g, 'threads: 1'],
  [/\bevaluations: \d+/g, 'evaluations: 3'],
  [/\bepochs: \d+/g, 'epochs: 1'],
  [/\bvalidation_batch_size: \d+/g, 'validation_batch_size: 50'],
];

// Commands: what is replaced wherever it stands, and options that are set for a command.
const smallCommand = [
  [/--data fashion-mnist\b/g, `--data idx:${folder}`],
  [/--search-validation \d+/g, '--search-validation 100'],
  [/--members mobile:\d+/g, '--members fashion-mnist:3'],
];
const smallOptions = {
  bench: { '--repeats': 1, '--seconds': 0.01 },
  calibrate: { '--networks': 16, '--repeats': 1, '--seconds': 0 },
  evaluate: { '--threads': 1 },
  distill: { '--threads': 1 },
  quantize: { '--threads': 1, '--images': 64, '--sensitivity': 16 },
  train: { '--threads': 1 },
  compare: { '--seeds': '1,2', '--random-networks': 2 },
  front: { '--evaluations': 6 },
  rank: { '--networks': 3 },
};

function reduced(command) {
  let text = command;
  for (const [what, small] of smallCommand) text = text.replace(what, small);
  const name = /^build\/release\/ridgewalk (\w+)/.exec(text)?.[1];
  for (const [option, value] of Object.entries(smallOptions[name] ?? {})) {
    if (name === 'rank' && text.includes('--trained')) continue;  // which brings its networks
    if (name === 'bench' && text.includes('--script')) continue;  // which measures nothing
    if (text.includes('--zoo') && option === '--repeats') continue;  // which it does not repeat
    if (text.includes('--method qat') && option === '--sensitivity') continue;  // which it does not measure
    const given = new RegExp(`${option} \\S+`);
    text = given.test(text) ? text.replace(given, `${option} ${value}`) : `${text} ${option} ${value}`;
  }
  return text;
}

// A root: the program, the configurations reduced, and a CMake that has nothing to do for the quickstart.
function workingFolder(name) {
  const work = join(folder, name);
  for (const path of ['build/release', 'bin', 'experiments']) mkdirSync(join(work, path), { recursive: true });
  symlinkSync(program, join(work, 'build/release/ridgewalk'));
  for (const path of ['quickstart', 'configs', 'measurements']) {
    cpSync(join(root, 'experiments', path), join(work, 'experiments', path), { recursive: true });
  }
  for (const path of files(join(root, 'experiments/configs')).filter((file) => file.endsWith('.yaml'))) {
    let text = read(path);
    for (const [what, small] of smallConfiguration) text = text.replace(what, small);
    writeFileSync(join(work, path), text);
  }
  cpSync(join(root, 'experiments/results/quickstart.png'), join(work, 'photo.png'));  // a picture of the user's
  for (const path of ['bin/cmake', 'experiments/install-packages']) {
    writeFileSync(join(work, path), '#!/bin/sh\n');
    chmodSync(join(work, path), 0o755);
  }
  return work;
}

function run(work, text) {
  const env = { ...process.env, PATH: `${work}/bin:${process.env.PATH}`, OMP_WAIT_POLICY: 'passive' };
  return spawnSync('sh', ['-ec', text], { cwd: work, env, encoding: 'utf8', maxBuffer: 2 ** 26 });
}

// Each line of `shown` is printed, in this order.
function mustShow(page, block, printed, wasReduced) {
  assert.ok(!wasReduced, `${page}:${block.line}: is shown as the output of commands that are reduced here`);
  let from = 0;
  block.lines.forEach((line, index) => {
    const at = printed.indexOf(line.trimEnd(), from);
    if (line.trim() === '') return;
    assert.ok(at >= 0, `${page}:${block.line + index}: is not printed: ${line}\n${printed.join('\n')}`);
    from = at + 1;
  });
}

const pages = files().filter((file) => /(^|\/)(README|CONTRIBUTING)\.md$/.test(file));
const used = new Set();
const skippedSomewhere = new Set();
writeImages(folder, 'train', 600);
writeImages(folder, 't10k', 200);
let quickstart;

// The first one is the project's own; what its quickstart leaves is there for the others.
for (const page of ['README.md', ...pages.filter((other) => other !== 'README.md')]) {
  test(page, () => {
    const work = workingFolder(page.replaceAll('/', '-'));
    if (quickstart) cpSync(quickstart, join(work, 'runs/quickstart'), { recursive: true });
    let printed = [];
    let wasReduced = false;
    for (const block of blocks(read(page))) {
      if (block.language === 'output') mustShow(page, block, printed, wasReduced);
      if (block.language !== 'sh') continue;
      printed = [];
      wasReduced = false;
      for (const { line, text } of commands(block)) {
        const bare = text.replace(/\s+#.*$/, '');
        const skipped = notRun.find(([what]) => what.test(bare));
        if (skipped) { skippedSomewhere.add(skipped); continue; }
        const small = reduced(bare);
        const { status, stdout, stderr } = run(work, small);
        assert.equal(status, 0, `${page}:${line}: exit code ${status} of\n${small}\n${stderr}`);
        wasReduced ||= small !== bare;
        printed.push(...stdout.split('\n').map((one) => one.trimEnd()));
        const name = /^build\/release\/ridgewalk (\w+)/.exec(text)?.[1];
        if (name) used.add(name);
      }
    }
    if (page === 'README.md') quickstart = join(work, 'runs/quickstart');
  });
}

test('what is not run is in some page', () => {
  for (const entry of notRun) assert.ok(skippedSomewhere.has(entry), `no page has a command like ${entry[0]}`);
});

test('no command hides outside a block of commands', () => {
  for (const page of pages) {
    const text = read(page).replace(/^```[^]*?^```$/gm, (block) => block.replace(/[^\n]/g, ''));
    text.split('\n').forEach((line, index) => {
      assert.doesNotMatch(line, /^\s*(build\/\w+\/ridgewalk|cmake|ctest) /, `${page}:${index + 1} is in no block ${'```sh'}`);
    });
  }
});

test('every command of the program is in a page and in the table of experiments/README.md', () => {
  const help = spawnSync(program, ['--help'], { encoding: 'utf8' }).stdout;
  const known = [...help.matchAll(/^ {2}(\w+) +\S/gm)].map(([, name]) => name);
  assert.ok(known.length >= 13, help);
  const rows = [...read('experiments/README.md').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  for (const name of known) {
    assert.ok(used.has(name), `no page has a command with ${name}`);
    assert.ok(rows.includes(name), `the table of experiments/README.md has no row ${name}`);
  }
});
