// Drives a headless Chromium over two pipes, without any npm package.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Opens a page in a browser of its own. `events` collects what must not happen: uncaught errors, console
// messages, requests for anything but the file itself.
export async function open(url, { width = 1280, height = 900, dark = false, phone = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'ridgewalk-browser-'));
  const browser = spawn('chromium', ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    '--no-first-run', '--disable-background-networking', `--user-data-dir=${profile}`, '--remote-debugging-pipe'],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const waiting = new Map();
  const listeners = [];
  let last = 0;
  let rest = '';
  let session;
  browser.stdio[4].setEncoding('utf8').on('data', (text) => {
    const messages = (rest + text).split('\0');
    rest = messages.pop();
    for (const message of messages.map((part) => JSON.parse(part))) {
      if (message.id === undefined) {
        listeners.forEach((listener) => listener(message));
      } else {
        const { resolve, reject } = waiting.get(message.id);
        if (message.error) reject(new Error(message.error.message)); else resolve(message.result);
      }
    }
  });
  browser.on('error', (error) => waiting.forEach(({ reject }) => reject(error)));
  browser.on('exit', () => waiting.forEach(({ reject }) => reject(new Error('chromium exited'))));
  const send = (method, params = {}) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    browser.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId: session }) + '\0');
  });

  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  ({ sessionId: session } = await send('Target.attachToTarget', { targetId, flatten: true }));
  const events = [];
  let loaded;
  const load = new Promise((resolve) => { loaded = resolve; });
  listeners.push(({ method, params }) => {
    if (method === 'Runtime.exceptionThrown') events.push(params.exceptionDetails.exception?.description);
    if (method === 'Runtime.consoleAPICalled') events.push(`console.${params.type}`);
    if (method === 'Log.entryAdded') events.push(params.entry.text);
    if (method === 'Network.requestWillBeSent' && !/^(file|data):/.test(params.request.url)) events.push(params.request.url);
    if (method === 'Page.loadEventFired') loaded();
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: phone });
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
  await send('Page.navigate', { url });
  await load;

  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  return {
    events,
    evaluate,
    // Two frames, so that whatever waits for the next one has been drawn.
    settle: () => evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))'),
    press: async (key) => {
      for (const type of ['keyDown', 'keyUp']) await send('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: { ArrowRight: 39, ArrowDown: 40, ArrowLeft: 37, Home: 36, End: 35, Enter: 13, Tab: 9 }[key], text: key === 'Enter' && type === 'keyDown' ? '\r' : undefined });
    },
    screenshot: async (clip) => Buffer.from((await send('Page.captureScreenshot', { captureBeyondViewport: true, clip })).data, 'base64'),
    close: async () => {
      const gone = new Promise((resolve) => browser.once('exit', resolve));
      send('Browser.close').catch(() => {});
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
