// SPDX-License-Identifier: Apache-2.0
//
// What a Java program asks of its system: threads, locks, the collector with
// its own threads, compiled code, files, null pointers found by a fault. Prints
// the same lines wherever it runs.
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;
import java.util.zip.*;

public class Work {
	static int depth;
	static void deep() { depth++; deep(); }

	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		List<Future<Integer>> results = new ArrayList<>();
		for (int i = 0; i < 200; i++) {
			final int n = i;
			results.add(pool.submit(() -> n * n % 17));
		}
		int sum = 0;
		for (Future<Integer> r : results)
			sum += r.get();
		pool.shutdown();
		System.out.println("pool " + sum + " " + pool.awaitTermination(10, TimeUnit.SECONDS));

		AtomicLong counted = new AtomicLong();
		Object lock = new Object();
		long[] guarded = new long[1];
		Thread[] threads = new Thread[6];
		for (int t = 0; t < threads.length; t++) {
			threads[t] = new Thread(() -> {
				for (int i = 0; i < 20000; i++) {
					counted.incrementAndGet();
					synchronized (lock) { guarded[0]++; }
				}
			});
			threads[t].start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println("threads " + counted + " " + guarded[0]);

		// Garbage, while another thread spins without a call: it is stopped at a safepoint.
		AtomicBoolean stop = new AtomicBoolean();
		Thread spinner = new Thread(() -> { long x = 1; while (!stop.get()) x = x * 31 + 7; });
		spinner.start();
		Map<Integer, byte[]> keep = new HashMap<>();
		for (int i = 0; i < 200000; i++) {
			byte[] b = new byte[500 + i % 500];
			if (i % 1000 == 0)
				keep.put(i, b);
		}
		System.gc();
		stop.set(true);
		spinner.join();
		System.out.println("heap " + keep.size() + " " + keep.values().stream().mapToInt(b -> b.length).sum());

		int nulls = 0, zeros = 0;
		Integer[] none = new Integer[3];
		int[] zero = new int[1];
		for (int i = 0; i < 30000; i++) {
			try { nulls += none[i % 3].hashCode(); } catch (NullPointerException e) { nulls++; }
			try { zeros += i / zero[0]; } catch (ArithmeticException e) { zeros++; }
		}
		boolean overflow = false;
		try { deep(); } catch (StackOverflowError e) { overflow = depth > 1000; }
		System.out.println("faults " + nulls + " " + zeros + " " + overflow);

		System.out.println("streams " + IntStream.range(0, 100000).parallel().filter(i -> i % 3 == 0).mapToLong(i -> i).sum());

		Path dir = Paths.get(args[0]);
		Files.createDirectories(dir.resolve("a/b"));
		Files.writeString(dir.resolve("a/b/text"), "one\ntwo\nthree\n");
		Files.copy(dir.resolve("a/b/text"), dir.resolve("copy"));
		try (Stream<Path> walk = Files.walk(dir)) {
			System.out.println("files " + walk.map(p -> dir.relativize(p).toString()).sorted().collect(Collectors.toList())
				+ " " + Files.readAllLines(dir.resolve("copy")).size());
		}
		CRC32 crc = new CRC32();
		crc.update(new byte[1 << 20]);
		System.out.println("crc " + Long.toHexString(crc.getValue()));

		ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
		CountDownLatch ticks = new CountDownLatch(5);
		timer.scheduleAtFixedRate(ticks::countDown, 1, 2, TimeUnit.MILLISECONDS);
		System.out.println("timer " + ticks.await(10, TimeUnit.SECONDS));
		timer.shutdownNow();
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
		System.exit(4);
	}
}
