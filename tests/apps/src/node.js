// SPDX-License-Identifier: Apache-2.0
//
// What a node program uses of its system: worker threads, shared memory with
// atomics, streams, compression, timers, files, hashes and ciphers, buffers,
// aborts, many promises. Prints the same lines wherever it runs.
'use strict';
const { Worker, isMainThread, parentPort, workerData, MessageChannel, threadId } = require('worker_threads');
const assert = require('assert');

if (!isMainThread) {
	const cells = new Int32Array(workerData.shared);
	if (workerData.kind === 'count') {
		for (let i = 0; i < 20000; i++)
			Atomics.add(cells, 0, 1);
		parentPort.postMessage({ done: true, sum: workerData.numbers.reduce((a, b) => a + b, 0) });
	} else if (workerData.kind === 'wait') {
		// Sleeps until the main thread writes the cell.
		const how = Atomics.wait(cells, 1, 0, 20000);
		parentPort.postMessage({ how, value: Atomics.load(cells, 1) });
	} else if (workerData.kind === 'throw') {
		throw new RangeError('thrown in a worker');
	} else {
		for (;;)
			Atomics.add(cells, 2, 1); // until terminate()
	}
	return;
}

const fs = require('fs');
const fsp = require('fs/promises');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const crypto = require('crypto');
const events = require('events');
const { pipeline } = require('stream/promises');
const { Readable, Transform, PassThrough } = require('stream');
const { setTimeout: sleep, setInterval: ticks } = require('timers/promises');
const { performance } = require('perf_hooks');
const dns = require('dns');

const dir = process.argv[2];
const tests = {
	async workers() {
		const shared = new SharedArrayBuffer(64);
		const cells = new Int32Array(shared);
		const all = [];
		for (let i = 0; i < 4; i++)
			all.push(new Promise((good, bad) => {
				const w = new Worker(__filename, { workerData: { shared, kind: 'count', numbers: [1, 2, 3, i] } });
				w.once('message', good);
				w.once('error', bad);
			}));
		const sums = (await Promise.all(all)).map((m) => m.sum);
		return [Atomics.load(cells, 0), sums];
	},
	async atomics_wait() {
		const shared = new SharedArrayBuffer(64);
		const cells = new Int32Array(shared);
		const w = new Worker(__filename, { workerData: { shared, kind: 'wait' } });
		const message = events.once(w, 'message');
		while (Atomics.notify(cells, 1, 0) !== 0 || cells[1] === 0) {
			await sleep(20);
			Atomics.store(cells, 1, 42);
			if (Atomics.notify(cells, 1) > 0)
				break;
		}
		const [m] = await message;
		assert(['ok', 'not-equal'].includes(m.how));
		return m.value;
	},
	async worker_error() {
		const w = new Worker(__filename, { workerData: { shared: new SharedArrayBuffer(64), kind: 'throw' } });
		const [error] = await events.once(w, 'error');
		return [error.name, error.message];
	},
	async worker_terminate() {
		const shared = new SharedArrayBuffer(64);
		const cells = new Int32Array(shared);
		const w = new Worker(__filename, { workerData: { shared, kind: 'spin' } });
		while (Atomics.load(cells, 2) < 1000)
			await sleep(5);
		return await w.terminate();
	},
	async messages() {
		const { port1, port2 } = new MessageChannel();
		port1.postMessage({ map: new Map([['a', [1, 2n]]]), date: new Date(0), bytes: new Uint8Array([1, 2]) });
		const [m] = await events.once(port2, 'message');
		port1.close();
		return [m.map.get('a')[1].toString(), m.date.toISOString(), m.bytes.length];
	},
	async streams() {
		const from = path.join(dir, 'from'), to = path.join(dir, 'to.gz'), back = path.join(dir, 'back');
		const line = 'The quick brown fox jumps over the lazy dog. 0123456789\n';
		await fsp.writeFile(from, line.repeat(40000));
		await pipeline(fs.createReadStream(from), zlib.createGzip(), fs.createWriteStream(to));
		await pipeline(fs.createReadStream(to), zlib.createGunzip(), fs.createWriteStream(back));
		const same = (await fsp.readFile(back)).equals(await fsp.readFile(from));
		let lines = 0;
		const counter = new Transform({ transform(chunk, _, done) { for (const b of chunk) lines += b === 10; done(); } });
		counter.resume();
		await pipeline(fs.createReadStream(back, { highWaterMark: 1000 }), counter);
		let text = '';
		for await (const part of Readable.from(['a', 'b', 'c']).pipe(new PassThrough()))
			text += part;
		return [same, lines, text, (await fsp.stat(from)).size];
	},
	async compression() {
		const data = Buffer.alloc(300000, 'abcdefghij0123456789');
		const r = [];
		for (const [a, b] of [['gzip', 'gunzip'], ['deflate', 'inflate'], ['brotliCompress', 'brotliDecompress']]) {
			const small = await new Promise((good, bad) => zlib[a](data, (e, v) => e ? bad(e) : good(v)));
			const again = await new Promise((good, bad) => zlib[b](small, (e, v) => e ? bad(e) : good(v)));
			r.push(small.length, again.equals(data), zlib[a + 'Sync'](data).equals(small));
		}
		return r;
	},
	async timers() {
		const order = [];
		const t = performance.now();
		await Promise.all([sleep(60).then(() => order.push('60')), sleep(20).then(() => order.push('20')),
			new Promise((r) => setImmediate(r)).then(() => order.push('immediate')),
			new Promise((r) => process.nextTick(r)).then(() => order.push('tick'))]);
		let n = 0;
		for await (const _ of ticks(2))
			if (++n === 5)
				break;
		const cleared = setTimeout(() => order.push('never'), 1);
		clearTimeout(cleared);
		await sleep(10);
		const took = performance.now() - t;
		assert(took >= 75 && took < 10000, `timers took ${took}`);
		return order;
	},
	async files() {
		const sub = path.join(dir, 'sub', 'deep');
		await fsp.mkdir(sub, { recursive: true });
		await Promise.all(Array.from({ length: 50 }, (_, i) => fsp.writeFile(path.join(sub, `f${i}`), 'x'.repeat(i))));
		const names = (await fsp.readdir(sub)).sort();
		const sizes = await Promise.all(names.map(async (n) => (await fsp.stat(path.join(sub, n))).size));
		await fsp.symlink('f1', path.join(sub, 'link'));
		await fsp.rename(path.join(sub, 'f2'), path.join(sub, 'moved'));
		await fsp.copyFile(path.join(sub, 'f9'), path.join(sub, 'copy'));
		await fsp.appendFile(path.join(sub, 'copy'), 'more');
		const h = await fsp.open(path.join(sub, 'copy'), 'r+');
		await h.write(Buffer.from('AB'), 0, 2, 3);
		await h.truncate(10);
		await h.sync();
		const text = (await h.readFile()).toString();
		await h.close();
		const errors = [];
		for (const f of [() => fsp.readFile(path.join(dir, 'no')), () => fsp.readdir(path.join(dir, 'from')),
			() => fsp.mkdir(sub), () => fsp.rmdir(path.join(dir, 'sub'))])
			await f().catch((e) => errors.push(e.code));
		const target = await fsp.readlink(path.join(sub, 'link'));
		await fsp.rm(path.join(dir, 'sub'), { recursive: true });
		return [names.length, sizes.reduce((a, b) => a + b), text, target, errors, fs.existsSync(sub)];
	},
	async watch() {
		const name = path.join(dir, 'watched');
		const stop = new AbortController();
		const seen = (async () => {
			try {
				for await (const e of fsp.watch(dir, { signal: stop.signal }))
					if (e.filename === 'watched')
						return e.eventType;
			} catch (e) {
				return e.name;
			}
		})();
		await sleep(30);
		fs.writeFileSync(name, 'x');
		const r = await Promise.race([seen, sleep(5000, 'nothing seen', { ref: false })]);
		stop.abort();
		return r;
	},
	async crypto() {
		const r = [crypto.createHash('sha256').update('abc').digest('hex').slice(0, 16),
			crypto.createHmac('sha1', 'key').update('data').digest('hex').slice(0, 16),
			crypto.pbkdf2Sync('secret', 'salt', 20000, 16, 'sha512').toString('hex'),
			(await new Promise((g, b) => crypto.scrypt('secret', 'salt', 16, (e, k) => e ? b(e) : g(k)))).toString('hex')];
		const key = Buffer.alloc(32, 7), iv = Buffer.alloc(12, 9);
		const c = crypto.createCipheriv('aes-256-gcm', key, iv);
		const sealed = Buffer.concat([c.update('hidden text'), c.final()]);
		const d = crypto.createDecipheriv('aes-256-gcm', key, iv);
		d.setAuthTag(c.getAuthTag());
		r.push(sealed.toString('hex'), Buffer.concat([d.update(sealed), d.final()]).toString());
		const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
		const sign = crypto.sign(null, Buffer.from('m'), privateKey);
		r.push(crypto.verify(null, Buffer.from('m'), publicKey, sign), crypto.verify(null, Buffer.from('n'), publicKey, sign));
		const a = crypto.randomBytes(32), b = crypto.randomBytes(32);
		r.push(a.equals(b), crypto.randomUUID().length);
		const web = await crypto.subtle.digest('SHA-1', Buffer.from('abc'));
		r.push(Buffer.from(web).toString('hex'));
		return r;
	},
	async buffers() {
		const b = Buffer.alloc(16);
		b.writeDoubleBE(Math.PI, 0);
		b.writeBigUInt64LE(0x1122334455667788n, 8);
		const s = 'grüße, 世界 🎈';
		return [b.toString('hex'), Buffer.from(s).length, Buffer.from(s, 'utf16le').length,
			Buffer.from(Buffer.from(s).toString('base64'), 'base64').toString() === s, Buffer.concat([b, b]).indexOf(0x88),
			new TextDecoder().decode(new TextEncoder().encode(s)) === s, structuredClone({ a: [1, { b: 2 }] }).a[1].b];
	},
	async aborts() {
		const r = [];
		await sleep(10000, null, { signal: AbortSignal.timeout(10) }).catch((e) => r.push(e.name));
		const c = new AbortController();
		const reading = fsp.readFile(path.join(dir, 'from'), { signal: c.signal });
		c.abort();
		await reading.catch((e) => r.push(e.name));
		const e = new events.EventEmitter();
		const waits = events.once(e, 'x', { signal: AbortSignal.abort() });
		await waits.catch((x) => r.push(x.code));
		return r;
	},
	async promises() {
		let sum = 0;
		const all = [];
		for (let i = 0; i < 100000; i++)
			all.push(Promise.resolve(i).then((v) => { sum += v; return v; }));
		await Promise.all(all);
		for (let i = 0; i < 100000; i++)
			sum -= await i;
		return [all.length, sum];
	},
	async heap() {
		// Garbage enough for many collections, on the collector's threads too.
		let keep = [];
		for (let i = 0; i < 400; i++) {
			const part = Array.from({ length: 2000 }, (_, j) => ({ i, j, s: `${i}:${j}` }));
			if (i % 40 === 0)
				keep.push(part);
		}
		const big = new Float64Array(8 << 20).fill(1.5);
		return [keep.length, keep[9][1999].s, big.reduce((a, b) => a + b, 0)];
	},
	async jit() {
		const fib = (n) => n < 2 ? n : fib(n - 1) + fib(n - 2);
		const wasm = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0,
			7, 7, 1, 3, 0x61, 0x64, 0x64, 0, 0, 0x0a, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b]);
		const { instance } = await WebAssembly.instantiate(wasm);
		let n = 0;
		for (let i = 0; i < 1000000; i++)
			n = instance.exports.add(n, i);
		let bad = '';
		try { (function f() { f(); })(); } catch (e) { bad = e.constructor.name; }
		return [fib(27), n, bad, /(\d+)-(?<w>\w+)/u.exec('12-ab').groups.w];
	},
	async system() {
		const code = await new Promise((r) => dns.lookup('127.0.0.1', (e, a) => r(e ? e.code : a)));
		const got = new Promise((r) => process.once('SIGUSR2', r));
		process.kill(process.pid, 'SIGUSR2');
		return [code, await got, os.platform(), os.arch(), os.endianness(), os.cpus().length, process.memoryUsage().rss > 1e7,
			process.uptime() > 0, process.hrtime.bigint() > 0n, os.totalmem() > 1e6, process.cwd() === dir, threadId];
	},
};

(async () => {
	for (const [name, f] of Object.entries(tests))
		console.log(name, JSON.stringify(await f()));
	process.on('exit', (c) => console.log('exit', c));
	process.exitCode = 3;
})();
